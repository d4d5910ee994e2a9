"""What commands print on stdout: plain aligned lines for people, JSON for programs."""

import json
import os
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from benchmark.cli import streams
from benchmark.core.words import number_of

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.evaluate.results import EvalResult


def say(text: str) -> None:
    """A line on stdout; under a launcher of several processes only the first one speaks."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(text, file=streams.stdout())


def say_next(*words: object) -> None:
    """The command that goes on from here, as a shell takes it: paths with spaces and quotes are quoted."""
    say(f"next: {shlex.join(map(str, words))}")


def say_json(value: object) -> None:
    """A record, or anything made of plain values, as JSON."""
    from benchmark.core.hashing import plain

    say_json_text(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def say_json_text(text: str) -> None:
    """JSON that stays JSON of the same values where stdout lacks a character: it is escaped then."""
    try:
        text.encode(streams.stdout().encoding or "utf-8")
    except UnicodeEncodeError:
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    say(text)


def console() -> "Console":
    """Rich's console for tables on stdout."""
    from rich.console import Console

    return Console(file=streams.stdout(), highlight=False)


def say_plan(lines: Sequence[str], *, as_json: bool) -> None:
    """What a command would do, a fact a line; on a terminal the rest of a long one stands below it."""
    if as_json:
        say_json({"plan": list(lines)})
        return
    if not streams.stdout().isatty():
        say("\n".join(lines))
        return
    for line in lines:
        name = re.match(r"\s*(\S+\s{2,})?", line)
        say(_folded(line, "", " " * (len(name[0]) if name else 0)))


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Rows of equal length in columns; the last column is not padded."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        say("  ".join([*cells, row[-1]]).rstrip())


def say_wrapped(text: str, *, indent: int) -> None:
    """Words in lines of at most 80 columns.

    Args:
        text: Broken at its spaces alone.
        indent: Spaces before each line.
    """
    before = " " * indent
    say(_folded(text, before, before))


def _folded(text: str, before: str, below: str) -> str:
    return textwrap.fill(
        text, 80, initial_indent=before, subsequent_indent=below, break_long_words=False,
        break_on_hyphens=False, replace_whitespace=False,
    )  # fmt: skip


def say_evaluation(
    result: "EvalResult", *, as_json: bool, seconds: Mapping[str, float] | None = None
) -> None:
    """The leaderboard, how long each part took, and where everything lies.

    Args:
        result: What to tell.
        as_json: The leaderboard as JSON instead.
        seconds: Wall time by part; None: the evaluation's own.

    Raises:
        MissingRowsError: if rows have no value; the command then ends with exit code 4.
    """
    if result.leaderboard is None:
        made = sum(len(images.ok) for images in result.image_sets)
        if as_json:
            say_json({"folder": result.folder, "images": made})
        else:
            say(
                f"{number_of(made, 'image')} in {result.folder}; the same command without --shard scores them"
            )
        return
    if as_json:
        from benchmark.report import json_text

        say_json_text(json_text(result.leaderboard).rstrip())
    else:
        from benchmark.report.terminal import print_leaderboard

        whole = shlex.join(["fbench", "leaderboard", str(result.folder), "--verbose"])
        print_leaderboard(result.leaderboard, console(), more=f"run {whole}")
        say("")
        if spent := seconds or result.seconds:
            say(", ".join(f"{part} {taken:.0f} s" for part, taken in spent.items()))
        say(f"report.html, tables, scores.parquet and figures/ are in {result.folder}")
    result.raise_if_missing()
