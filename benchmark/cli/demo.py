"""``fbench demo``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_evaluation

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything it makes.")] = Path("runs/demo"),
    steps: Annotated[
        int | None, typer.Option(help="Optimiser steps of each policy. (default a few: minutes in all)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the trainings.")] = 0,
    offline: options.Offline = False,
    as_json: options.AsJson = False,
) -> None:
    """Trains, evaluates and ranks four objectives on the embedded world.

    Compares them with the base model and draws the figures. Everything is real: the small models and the
    preference data come with fbench, so nothing is downloaded. The same command again resumes, and reuses
    what is finished.

    Examples:
      fbench demo
      fbench demo --seed 1 --out runs/demo-seed1
    """
    options.forbid_network(offline=offline)
    from benchmark.workflows import demo as study

    result = study.demo(out, steps=study.STEPS if steps is None else steps, seed=seed, offline=offline)
    if not as_json:
        for line in result.distances:
            say(line)
        say(f"{result.figure} and {result.page} show them; {result.sheet} shows what was drawn\n")
    say_evaluation(result.evaluation, as_json=as_json, seconds=result.seconds)
