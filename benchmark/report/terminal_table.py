"""The table of a leaderboard on a terminal: as narrow as its numbers are, a line or two a checkpoint."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from benchmark.core.records import Leaderboard
from benchmark.report.numbers import better_or_worse, fixed, half_width, signed
from benchmark.report.panels import PanelColumn, fitted, prompts_beside
from benchmark.report.titles import headed

_MARKS = {1: ("▲ ", "green"), 0: ("", "dim"), -1: ("▼ ", "red")}
_LEAST_NAME, _MOST_NAME = 14, 44
_NAMES = "checkpoint"
_TITLE = 12
"""Letters that a line of a heading may have, however narrow its numbers are."""


@dataclass(frozen=True)
class _Cell:
    """The parts of a cell; empty where there is none.

    Attributes:
        mean: With half its interval.
        n: The prompts behind it, where they are not as many as others have.
        difference: From the reference, with its mark.
    """

    mean: Text
    n: Text
    difference: Text


class _Column:
    """A scorer's cells, laid out; marks stand before their numbers, so that digits are below digits."""

    def __init__(self, board: Leaderboard, column: PanelColumn, *, starred: bool) -> None:
        self.column = column
        self.cells = [_cell_of(board, i, column, starred=starred) for i in range(len(board.rows))]
        self._mean = max((cell.mean.cell_len for cell in self.cells), default=0)
        self._n = max((cell.n.cell_len for cell in self.cells), default=0)
        self._difference = max((cell.difference.cell_len for cell in self.cells), default=0)

    def width(self, *, line: bool) -> int:
        """Letters of the column."""
        below = self._n + bool(self._n and self._difference) + self._difference
        numbers = self._mean + 2 * bool(below) + below if line else max(self._mean, below)
        pieces = folded(headed(self.column.facts), _TITLE).split("\n")
        return max(numbers, *map(cell_len, (*pieces, self.column.facts.axis)))

    def heading(self, width: int) -> Text:
        """Name, direction and axis."""
        facts = self.column.facts
        return Text.assemble(folded(headed(facts), width), "\n", (facts.axis, "dim not bold"))

    def text(self, row: int, *, line: bool) -> Text:
        """A cell in one line or two."""
        cell = self.cells[row]
        below = Text()
        if self._n:
            below.append_text(_to_the(cell.n, self._n, right=False)).append(" " * bool(self._difference))
        below.append_text(_to_the(cell.difference, self._difference, right=True))
        if not below.plain.strip() and not line:
            return cell.mean
        between = "  " if line and below.cell_len else "" if line else "\n"
        return Text.assemble(cell.mean, between, below)


def tables_of(
    board: Leaderboard,
    columns: Sequence[PanelColumn],
    names: Mapping[str, str],
    width: int,
    *,
    starred: bool = False,
) -> list[Table]:
    """As few tables as the terminal is wide: one line a checkpoint where all fit beside each other so.

    Args:
        board: What to show.
        columns: Which scorers, in order.
        names: Of the checkpoints, by id.
        width: Letters of the terminal.
        starred: Whether a star marks what is bold, for who cannot see that.
    """
    laid = [_Column(board, column, starred=starred) for column in columns]
    longest = max(map(cell_len, (_NAMES, *(names[row.checkpoint.id] for row in board.rows))))
    longest = min(longest, _MOST_NAME, max(_LEAST_NAME, width // 2))
    shown = [names[row.checkpoint.id] for row in board.rows]
    in_two = next((w for w in range(_LEAST_NAME, longest) if _lines(shown, w) <= 2), longest)
    for line, gap, least in ((True, 2, longest), (False, 2, in_two), (False, 1, min(longest, _LEAST_NAME))):
        room = width - sum(column.width(line=line) + gap for column in laid)
        # A name is folded sooner than columns come closer, or a scorer goes into another table.
        if room >= least:
            return [_table(board, laid, names, min(longest, room), line=line, gap=gap)]
    by_index = {column.column.index: column for column in laid}
    widths = [column.width(line=False) + 2 for column in laid]
    return [
        _table(board, [by_index[c.index] for c in panel.columns], names, longest, line=False, gap=2)
        for panel in fitted(columns, widths, width - longest)
    ]


def _lines(names: Sequence[str], width: int) -> int:
    return max((folded(name, width).count("\n") + 1 for name in names), default=1)


def folded(name: str, width: int) -> str:
    r"""A long name in lines, broken after its commas, else after the signs that such names are made of.

    Example:
        >>> folded("rpo-reverse_kl-beta1.0-seed0", 16)
        'rpo-reverse_kl-\nbeta1.0-seed0'
        >>> folded("f_dpo reverse_kl, beta 0.1, seed 0", 22)
        'f_dpo reverse_kl,\nbeta 0.1, seed 0'
    """
    lines = [""]
    for part in re.split(r"(?<=, )", name):
        whole = len(part.rstrip()) <= width
        for piece in [part] if whole else re.split(r"(?<=[-_/.])|(?<= )(?![↑↓])", part):
            if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _table(
    board: Leaderboard,
    columns: Sequence[_Column],
    names: Mapping[str, str],
    name_width: int,
    *,
    line: bool,
    gap: int,
) -> Table:
    # The box itself puts a space between columns.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    table.add_column(_NAMES, width=name_width, overflow="fold")
    for column in columns:
        width = column.width(line=line)
        table.add_column(column.heading(width), justify="right", width=width, no_wrap=True)
    for i, row in enumerate(board.rows):
        name = Text(folded(names[row.checkpoint.id], name_width))
        if not row.ranked:
            name.append("\nnot ranked", style="dim")
        table.add_row(name, *(column.text(i, line=line) for column in columns))
    return table


def _cell_of(board: Leaderboard, row: int, column: PanelColumn, *, starred: bool) -> _Cell:
    cell, places = column.cell(board.rows[row]), column.decimals
    if cell.mean is None:
        return _Cell(Text("–"), Text(), Text())
    half, n = half_width(cell), prompts_beside(board, cell)
    mean = Text.assemble(
        "*" if starred and cell.group == 1 else "",
        "†" if board.rows[row].checkpoint.id in column.facts.in_domain else "",
        (fixed(cell.mean, places), "bold" if cell.group == 1 else ""),
        ("" if half is None else f" ±{half:.{places}f}", "dim"),
    )
    difference = Text()
    if cell.difference is not None:
        mark, style = _MARKS[better_or_worse(cell, higher_is_better=column.facts.higher_is_better)]
        difference = Text(mark + signed(cell.difference, places), style=style)
    return _Cell(mean, Text("" if n is None else f"n {n}", style="dim"), difference)


def _to_the(text: Text, width: int, *, right: bool) -> Text:
    space = " " * (width - text.cell_len)
    return Text.assemble(space, text) if right else Text.assemble(text, space)
