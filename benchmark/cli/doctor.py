"""``fbench doctor``."""

from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_table
from benchmark.core.errors import UserError

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("doctor")
def doctor(
    conformance: Annotated[
        bool, typer.Option("--conformance", help="Have every scorer score the golden images, and compare.")
    ] = False,
    weights_folder: options.WeightsFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Says what is installed, which weights are here, and how to get the rest.

    With --conformance, whether the scorers give the golden images the scores they should; exit code 2 if not.

    Examples:
      fbench doctor
      fbench doctor --conformance
      fbench doctor --json
    """
    options.use_weights_folder(weights_folder)
    if conformance:
        _say_conformance(as_json=as_json)
        return
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


def _say_conformance(*, as_json: bool) -> None:
    from benchmark.cli.diagnosis import conformances

    options.use_free_threads()
    found = conformances()
    if as_json:
        say_json(found)
    else:
        say_table([[c.verdict, c.scorer, c.version, c.note] for c in found])
    wrong = [c for c in found if c.verdict in ("differs", "changed")]
    if wrong:
        raise UserError(
            f"{len(wrong)} of {len(found)} scorers give the golden images other scores than they should, the "
            f"first one {wrong[0].scorer}: {wrong[0].note}",
            do="compare package versions with constraints.txt, and the weights with `fbench weights verify`",
        )


def _mark(*, present: bool) -> str:
    return "ready" if present else "missing"
