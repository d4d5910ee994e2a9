"""``fbench leaderboard``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say

if TYPE_CHECKING:
    from benchmark.core.records import Leaderboard

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

_TABLE, _HTML = "table", "html"


@app.command("leaderboard")
def leaderboard(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Evaluation folders, or scores.parquet files.")
    ],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="table|csv|latex|markdown|json|html",
            help="(default by the ending of --output, else table)",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there instead of printing.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Id that differences are against. (default the base model)")
    ] = None,
    page_megabytes: Annotated[
        float | None,
        typer.Option(min=0, metavar="MB", help="Room for pictures in an html page. (default 64)"),
    ] = None,
    frontier: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="What `fbench frontier` wrote, for the trade-offs of html and json; once for each.",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Rebuilds and joins leaderboards from scores.

    Needs no model, no image and no GPU. Evaluations whose signatures differ are never joined. An html page
    shows the pictures and manifests that still lie in the folders.

    Examples:
      fbench leaderboard runs/eval
      fbench leaderboard runs/eval-a runs/eval-b --output both.tex
      fbench leaderboard runs/eval --format csv
      fbench leaderboard runs/eval-a runs/eval-b --output both.html
      fbench leaderboard runs/eval --frontier runs/eval/frontier --output report.html
    """
    from benchmark.core.errors import UserError

    form = _format_of("json" if as_json else format, output)
    if page_megabytes is not None and form != _HTML:
        raise UserError(
            f"--page-megabytes is for html, and the format is {form}", do="add --output report.html"
        )
    from benchmark.core.store import write_text
    from benchmark.leaderboard import build_leaderboard, join_tables, read_score_table

    tables = [read_score_table(path) for path in folders]
    board = build_leaderboard(tables, reference=reference)
    if frontier:
        board = _with_frontiers(board, frontier, form)
    if form == _HTML:
        from benchmark.evaluate.report import page_source
        from benchmark.export.page import PICTURE_MEGABYTES, page_html
        from benchmark.generate import console_progress

        room = PICTURE_MEGABYTES if page_megabytes is None else page_megabytes
        with console_progress("pictures of the report page") as tell:
            source = page_source(board, join_tables(tables), folders)
            text = page_html(source, megabytes=room, tell=tell)
    elif form == _TABLE:
        from io import StringIO

        from rich.console import Console

        from benchmark.export.terminal import print_leaderboard

        console = Console() if output is None else Console(file=StringIO(), width=120)
        print_leaderboard(board, console)
        text = console.file.getvalue() if isinstance(console.file, StringIO) else ""
    else:
        from benchmark.export import TEXT_FORMATS

        text = TEXT_FORMATS[form][1](board)
    if output is not None:
        write_text(output, text)
        say(f"wrote {output}")
    elif text:
        say(text.rstrip("\n"))


def _with_frontiers(board: "Leaderboard", folders: list[Path], form: str) -> "Leaderboard":
    """The same ranks, with frontiers in the trade-offs."""
    from benchmark.core.errors import UserError
    from benchmark.leaderboard import read_score_table
    from benchmark.leaderboard.frontiers import with_frontiers

    if form not in (_HTML, "json"):
        raise UserError(
            f"--frontier is for html and json, and the format is {form}", do="add --output report.html"
        )
    return with_frontiers(board, [read_score_table(folder) for folder in folders])


def _format_of(asked: str | None, output: Path | None) -> str:
    from benchmark.core.errors import UnknownNameError, UserError
    from benchmark.export import TEXT_FORMATS

    endings = {f".{ending}": name for name, (ending, _) in TEXT_FORMATS.items()} | {".html": _HTML}
    if asked is None:
        return endings.get(output.suffix.lower(), _TABLE) if output else _TABLE
    known = (_TABLE, *TEXT_FORMATS, _HTML)
    if asked not in known:
        raise UnknownNameError("format", asked, known)
    if asked == _HTML and output is None:
        raise UserError(
            "--format html is a page with pictures, not a text", do="name it: --output report.html"
        )
    return asked
