"""``fbench leaderboard``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import console, say, say_json_text

if TYPE_CHECKING:
    from benchmark.core.records import Leaderboard
    from benchmark.leaderboard import ScoreTable
    from benchmark.leaderboard.view import View

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

_TABLE, _HTML = "table", "html"
_ALL = "all"


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
        str | None,
        typer.Option(
            help="Id of the checkpoint that the others are compared with, or a method after --by-method. "
            "(default the base model)"
        ),
    ] = None,
    by_method: Annotated[
        bool,
        typer.Option(
            "--by-method",
            help="Make one row of the training runs that are alike but for their seed: means over seeds and "
            "prompts, and claims about methods where the seeds are enough.",
        ),
    ] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Show only such checkpoints and the reference; once for each condition: id, objective, "
            "divergence, step, beta, seed ... with = != < <= > >=, * for anything, | between several. Tests, "
            "groups and the front stay those of all, unless --retest.",
        ),
    ] = None,
    retest: Annotated[
        bool,
        typer.Option(
            "--retest",
            help="Drop what --where leaves out before the tests, as if it had not been evaluated: groups, "
            "Holm and the front are then among the rest. To be decided before looking.",
        ),
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="KEY|-KEY",
            help="A scorer (best first), id, step, beta ..., train_seconds, eval_seconds, memory_gb; with - "
            "the other way round. (default the order of evaluation)",
        ),
    ] = None,
    scorers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B|all",
            help="Show only these scorers, in this order. (default all; on a terminal those that the suite "
            "declares, else one of each axis)",
        ),
    ] = None,
    axis: Annotated[
        str | None, typer.Option(metavar="A,B", help="Show only scorers of these axes, such as preference.")
    ] = None,
    primary: Annotated[
        bool, typer.Option("--primary", help="Show only scorers that the suite declares as primary.")
    ] = False,
    by_tag: Annotated[
        bool,
        typer.Option(
            "--by-tag",
            help="Add differences by what prompts are about; for csv a second file, FILE-by-tag.csv.",
        ),
    ] = False,
    latex: Annotated[
        str | None,
        typer.Option(
            metavar="paper|column|long",
            help="As wide as a two-column paper's text or as a column of it; or every number, over pages, "
            "for an appendix. (default paper)",
        ),
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
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="Print all scorers, then notes, the front, gaps, costs, whole ids and the signature.",
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Rebuilds and joins leaderboards from scores.

    Needs no model, no image and no GPU. Evaluations whose signatures differ are never joined; prompt sets are
    the same if their prompts are, whatever they are called. An html page shows the pictures and manifests
    that still lie in the folders, and sorts and filters by itself.

    Examples:
      fbench leaderboard runs/eval
      fbench leaderboard runs/eval --verbose
      fbench leaderboard runs/eval-a runs/eval-b --output both.tex
      fbench leaderboard runs/eval --format csv
      fbench leaderboard runs/eval --sort true_taste --where "divergence=jensen_*" --where "beta<=1"
      fbench leaderboard runs/eval --primary --by-tag
      fbench leaderboard runs/eval-a runs/eval-b --by-method --reference reverse_kl
      fbench leaderboard runs/eval --scorers hps,clip --latex column --output table.tex
      fbench leaderboard runs/eval-a runs/eval-b --output both.html
      fbench leaderboard runs/eval --frontier runs/eval/frontier --output report.html
    """
    form = _format_of("json" if as_json else format or ("latex" if latex else None), output)
    from benchmark.core.store import write_text
    from benchmark.leaderboard import join_tables, read_score_table
    from benchmark.leaderboard.by_method import build_method_leaderboard
    from benchmark.leaderboard.notes import method_notes
    from benchmark.leaderboard.view import View, build_view, view_of

    chosen = () if scorers == _ALL else _listed(scorers)
    view = View(tuple(where or ()), sort, chosen, _listed(axis), primary, retest)
    _refuse_what_does_nothing(form, output, view, latex, page_megabytes, by_tag=by_tag, verbose=verbose)
    tables = [read_score_table(path) for path in folders]
    frontiers = [] if by_method else _frontiers(frontier or [], form)
    if by_method:
        _refuse_for_methods(form, {"--retest": retest, "--by-tag": by_tag, "--frontier": frontier})
        whole = build_method_leaderboard(tables, reference=reference, scorers=view.scorers)
        board = view_of(whole, view, method_notes)
    else:
        board = build_view(tables, view, reference=reference, tags=by_tag)
    if frontiers:
        board = _with_frontiers(board, frontiers, join_tables(tables))
    if form == _HTML:
        from benchmark.evaluate.finished import page_source
        from benchmark.generate import console_progress
        from benchmark.report.page import PICTURE_MEGABYTES, page_html

        room = PICTURE_MEGABYTES if page_megabytes is None else page_megabytes
        with console_progress("pictures of the report page") as tell:
            source = page_source(board, join_tables(tables), folders)
            text = page_html(source, megabytes=room, tell=tell)
    elif form == _TABLE:
        from io import StringIO

        from rich.console import Console

        from benchmark.report.terminal import print_leaderboard

        page = console() if output is None else Console(file=StringIO(), width=120)
        asked = scorers is not None or bool(view.axes) or primary
        print_leaderboard(board, page, every_scorer=asked, verbose=verbose)
        text = page.file.getvalue() if isinstance(page.file, StringIO) else ""
    else:
        from benchmark.report import TEXT_FORMATS, latex_text

        text = latex_text(board, latex) if latex else TEXT_FORMATS[form][1](board)
    if output is not None:
        write_text(output, text)
        say(f"wrote {output}")
    elif text:
        (say_json_text if form == "json" else say)(text.rstrip("\n"))
    if form == "csv" and output is not None and by_tag:
        from benchmark.core.naming import name_of
        from benchmark.report.data_files import tags_csv_text

        # Of another name, such as table-1.0, everything is the name.
        beside = output.with_name(f"{name_of(output, ('.csv',))}-by-tag.csv")
        write_text(beside, tags_csv_text(board))
        say(f"wrote {beside}")


def _listed(names: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (names or "").split(",") if word.strip())


def _refuse_what_does_nothing(
    form: str,
    output: Path | None,
    view: "View",
    latex: str | None,
    page_megabytes: float | None,
    *,
    by_tag: bool,
    verbose: bool,
) -> None:
    """Options that the format has no use for: silence would let a user believe in them."""
    from dataclasses import replace

    from benchmark.core.errors import UnknownNameError, UserError
    from benchmark.leaderboard.view import View
    from benchmark.report.latex import LATEX_FORMS

    if page_megabytes is not None and form != _HTML:
        raise UserError(
            f"--page-megabytes is for html, and the format is {form}", do="add --output report.html"
        )
    if verbose and form != _TABLE:
        raise UserError(f"--verbose is for a table, and the format is {form}", do="leave it out")
    if latex is not None and form != "latex":
        raise UserError(f"--latex is for latex, and the format is {form}", do="leave one of them out")
    if latex is not None and latex not in LATEX_FORMS:
        raise UnknownNameError("form of a LaTeX table", latex, LATEX_FORMS)
    if view.retest and not view.where:
        raise UserError("--retest needs --where", do="say which checkpoints to test")
    if form == _HTML and replace(view, retest=False) != View():
        raise UserError(
            "--where, --retest, --sort, --scorers, --axis and --primary are for tables",
            do="open the page, which sorts and filters by itself",
        )
    if form == "csv" and by_tag and output is None:
        raise UserError("--by-tag makes a second csv file", do="name the first: --output table.csv")


def _frontiers(folders: list[Path], form: str) -> "list[ScoreTable]":
    """What the trade-offs show besides checkpoints; none unless asked for."""
    if not folders:
        return []
    from benchmark.core.errors import UserError
    from benchmark.leaderboard.frontiers import read_frontiers

    if form not in (_HTML, "json"):
        raise UserError(
            f"--frontier is for html and json, and the format is {form}", do="add --output report.html"
        )
    return read_frontiers(folders)


def _with_frontiers(
    board: "Leaderboard", frontiers: "list[ScoreTable]", scores: "ScoreTable"
) -> "Leaderboard":
    """The same ranks, with frontiers in the trade-offs."""
    from benchmark.leaderboard.frontiers import with_frontiers

    return with_frontiers(board, frontiers, scores)


def _refuse_for_methods(form: str, others: Mapping[str, object]) -> None:
    from benchmark.core.errors import UserError

    if form == _HTML:
        raise UserError(
            "--by-method is for tables, and the format is html", allowed="table, csv, latex, markdown, json"
        )
    for option, given in others.items():
        if given:
            raise UserError(f"--by-method goes without {option}", do="leave one of them out")


def _format_of(asked: str | None, output: Path | None) -> str:
    from benchmark.core.errors import UnknownNameError, UserError
    from benchmark.report import TEXT_FORMATS

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
