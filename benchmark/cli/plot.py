"""``fbench plot``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.app import Group
from benchmark.cli.output import say, say_json

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode="rich")

Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A .png, .pdf or .svg. (default figures/ of the first folder)"),
]


@app.callback()
def plot() -> None:
    """Draws the figures of an evaluation.

    Examples:
      fbench plot trade-off runs/eval --output trade-off.pdf
      fbench plot sheet runs/eval --seed 0 --seed 1
    """


@app.command("trade-off")
def trade_off(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Evaluation folders.")],
    preference: Annotated[
        str | None, typer.Option(help="Scorer of the vertical axis. (default the first primary one)")
    ] = None,
    diversity: Annotated[
        str | None, typer.Option(help="Scorer of the horizontal axis. (default the first primary one)")
    ] = None,
    output: Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws preference against diversity, with 95 % intervals of the paired differences.

    Examples:
      fbench plot trade-off runs/eval
      fbench plot trade-off runs/eval --preference hps --diversity lpips --output hps.svg
    """
    from benchmark.export import figures
    from benchmark.leaderboard import build_leaderboard, read_score_table

    board = build_leaderboard([read_score_table(folder) for folder in folders])
    place = output or _figures(folders[0]) / "trade-off.png"
    _done(figures.trade_off(board, place, preference=preference, diversity=diversity), as_json=as_json)


@app.command("sheet")
def sheet(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An evaluation folder with its images.")],
    prompt: Annotated[
        list[str] | None, typer.Option(help="Id of a prompt to show; once for each. (default eight)")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Which of a prompt's K images; once for each. (default the first four)"),
    ] = None,
    output: Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws what the checkpoints made of the same prompts from the same noise.

    Examples:
      fbench plot sheet runs/eval
      fbench plot sheet runs/eval --seed 0 --seed 1 --seed 2 --seed 3 --output variety.png
    """
    from benchmark.evaluate.reopen import read_image_sets
    from benchmark.export.figures import picture_sheet

    place = output or _figures(folder) / "sheet.png"
    sets = read_image_sets(folder)
    _done(picture_sheet(sets, place, prompt_ids=prompt or None, seeds=seed or None), as_json=as_json)


def _figures(folder: Path) -> Path:
    return (folder if folder.is_dir() else folder.parent) / "figures"


def _done(path: Path, *, as_json: bool) -> None:
    if as_json:
        say_json({"path": path})
    else:
        say(f"wrote {path}")
