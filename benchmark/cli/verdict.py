"""How a command of the gate tells its verdict: on the terminal, in files, by its exit code."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmark.cli.output import console, say, say_json
from benchmark.core.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REGRESSION, UserError

if TYPE_CHECKING:
    from benchmark.gate import GateReport

Margin = Annotated[
    list[str] | None,
    typer.Option(
        "--margin",
        metavar="SCORER=VALUE",
        help="Drop that matters, in the scorer's units; once for each. (default 0.2 of the base's standard "
        "deviation between images of a prompt; of set metrics 10 % of the baseline's value)",
    ),
]
Junit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write the verdict as JUnit XML as well.")
]
Markdown = Annotated[
    Path | None,
    typer.Option(
        "--markdown", metavar="FILE", help="Write it as Markdown as well, such as to $GITHUB_STEP_SUMMARY."
    ),
]
Inconclusive = Annotated[
    Literal["error", "failure", "skipped"],
    typer.Option(
        "--inconclusive",
        metavar="error|failure|skipped",
        help="What an inconclusive scorer is in the JUnit XML; the exit code is 3 in any case.",
    ),
]

EXIT_CODES = {"pass": EXIT_OK, "regression": EXIT_REGRESSION, "inconclusive": EXIT_INCONCLUSIVE}


def tell_verdict(
    report: "GateReport",
    *,
    junit: Path | None = None,
    markdown: Path | None = None,
    inconclusive: Literal["error", "failure", "skipped"] = "error",
    more: str = "",
    as_json: bool = False,
) -> None:
    """Writes the files, prints the verdict, and ends the command with its exit code.

    Args:
        report: The verdict and what it is about.
        junit: Where to write JUnit XML; None for nowhere.
        markdown: Where to write Markdown.
        inconclusive: What an inconclusive scorer is in the JUnit XML.
        more: Where to read on, said below the table.
        as_json: Print JSON instead of the table.

    Raises:
        typer.Exit: with 1 for a regression, 3 if inconclusive.
        UserError: if a file cannot be written.
    """
    from benchmark.core.store import write_text
    from benchmark.report.data_files import verdict_record
    from benchmark.report.junit import junit_text
    from benchmark.report.markdown import verdict_markdown
    from benchmark.report.terminal import print_verdict

    if junit is not None:
        write_text(junit, junit_text(report, inconclusive=inconclusive))
    if markdown is not None:
        write_text(markdown, verdict_markdown(report))
    if as_json:
        say_json(verdict_record(report))
    else:
        print_verdict(report, console())
        for file in (junit, markdown):
            if file is not None:
                say(f"wrote {file}")
        if more:
            say(more)
    code = EXIT_CODES[report.verdict.outcome]
    if code:
        raise typer.Exit(code)


def check_verdict_files(*files: Path | None) -> None:
    """Refuses, before anything is computed, places where the verdict could not be written.

    Raises:
        UserError: for a folder, or where nothing may be written.
    """
    for file in files:
        if file is None:
            continue
        if file.is_dir():
            raise UserError(f"{file} is a folder", allowed="a file", do=f"name it: {file / 'verdict.xml'}")
        above = next(folder for folder in file.absolute().parents if folder.exists())
        if not (above.is_dir() and os.access(above, os.W_OK)):
            raise UserError(f"nothing can be written below {above}", do=f"choose another place than {file}")


def parse_margins(texts: Sequence[str] | None) -> dict[str, float]:
    """Margins by scorer, from the texts of ``--margin``.

    Example:
        >>> parse_margins(["oracle=0.02", "true_reward=0.1"])
        {'oracle': 0.02, 'true_reward': 0.1}

    Raises:
        UserError: for a text that is not ``SCORER=VALUE`` with a positive number, or a scorer named twice.
    """
    margins: dict[str, float] = {}
    for text in texts or ():
        # From the right: a scorer may have options of its own.
        scorer, _, value = text.rpartition("=")
        try:
            margin = float(value)
        except ValueError:
            margin = 0.0
        if not scorer or not 0 < margin < float("inf"):
            raise UserError(
                f"--margin is {text!r}",
                allowed="SCORER=VALUE with a positive number, such as oracle=0.02",
            )
        if scorer in margins:
            raise UserError(f"--margin names {scorer} twice", do="give one of them")
        margins[scorer] = margin
    return margins
