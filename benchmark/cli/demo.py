"""``fbench demo``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything it makes.")] = Path("runs/demo"),
    offline: options.Offline = False,
) -> None:
    """Trains, evaluates and ranks four objectives on the embedded world.

    Compares them with the base model and draws the figures. Everything is real: the small models and the
    preference data come with fbench, so nothing is downloaded. The same command again resumes, and reuses
    what is finished.

    Examples:
      fbench demo
      fbench demo --out runs/my-demo
    """
    options.forbid_network(offline=offline)
    options.use_free_threads()
    from benchmark.studies.demo import demo as run

    run(out)
