"""Leaderboards, verdicts and figures, as people look at them and programs read them.

A file a format; figures are in `figures`, the report page is in `page`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmark.core.records import Leaderboard
from benchmark.core.store import write_text
from benchmark.report.data_files import csv_text, json_text
from benchmark.report.latex import latex_text
from benchmark.report.markdown import markdown_text

TEXT_FORMATS: Mapping[str, tuple[str, Callable[[Leaderboard], str]]] = {
    "csv": ("csv", csv_text),
    "latex": ("tex", latex_text),
    "markdown": ("md", markdown_text),
    "json": ("json", json_text),
}
"""Name of the format: its file ending, and what makes the text."""


def write_exports(leaderboard: Leaderboard, folder: Path) -> tuple[Path, ...]:
    """Writes ``leaderboard.csv``, ``.tex``, ``.md`` and ``.json``.

    Args:
        leaderboard: What to write.
        folder: Where to; made if absent.

    Returns:
        The files.
    """
    written = []
    for ending, render in TEXT_FORMATS.values():
        written.append(folder / f"leaderboard.{ending}")
        write_text(written[-1], render(leaderboard))
    return tuple(written)


__all__ = ["TEXT_FORMATS", "csv_text", "json_text", "latex_text", "markdown_text", "write_exports"]
