"""``fbench doctor``."""

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_table

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("doctor")
def doctor(as_json: options.AsJson = False) -> None:
    """Says what is installed, which weights are here, and how to get the rest.

    Examples:
      fbench doctor
      fbench doctor --json
    """
    from benchmark.cli.diagnosis import diagnose

    found = diagnose()
    if as_json:
        say_json(found)
        return
    say("packages")
    say_table([["", name, version] for name, version in found.packages.items()])
    say("\ncomputing on")
    for device in found.devices:
        say(f"  {device}: --precision auto is {found.precision[device]}")
    say(f"  {found.threads} of {found.cores} cores are free (OMP_NUM_THREADS overrules)")
    say("\nthe embedded world")
    say_table([["", model.name, _mark(present=model.present), model.note] for model in found.models])
    say("\nscorers, with the weights they can run on")
    say_table([["", s.call or s.name, s.kind, _mark(present=s.present), s.note] for s in found.scorers])
    for line in found.trouble:
        say(f"\ntrouble: {line}")


def _mark(*, present: bool) -> str:
    return "ready" if present else "missing"
