"""Wide leaderboards in panels that fit a page or a terminal, scorers of one axis side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import get_args

from benchmark.core.records import (
    Axis,
    Leaderboard,
    LeaderboardCell,
    LeaderboardRow,
    ScorerColumn,
)
from benchmark.export.numbers import decimals

_AXES: tuple[Axis, ...] = get_args(Axis)
# The arrow beside a name, and the space between columns.
_BESIDE_NAME = 5


@dataclass(frozen=True)
class PanelColumn:
    """One scorer in a panel.

    Attributes:
        facts: Which scorer.
        index: Where its cells are in a leaderboard row.
        decimals: Digits after the point, the same down the column.
    """

    facts: ScorerColumn
    index: int
    decimals: int

    def cell(self, row: LeaderboardRow) -> LeaderboardCell:
        """This scorer's cell of a row."""
        return row.cells[self.index]


@dataclass(frozen=True)
class Panel:
    """Some scorers of a leaderboard.

    Attributes:
        columns: In the order of the axes.
    """

    columns: tuple[PanelColumn, ...]

    def axes(self) -> Iterator[tuple[Axis, int]]:
        """Each axis with the number of its scorers in this panel."""
        for axis, columns in groupby(self.columns, key=lambda column: column.facts.axis):
            yield axis, len(tuple(columns))


def panels(leaderboard: Leaderboard, *, room: int, least: int) -> tuple[Panel, ...]:
    """Splits the scorers into as few panels as fit, all about equally many scorers wide.

    Args:
        leaderboard: What to show.
        room: Letters beside each other that all scorers of a panel may take.
        least: Letters that a column takes at least; a longer name takes its own length.

    Returns:
        The panels; a leaderboard without scorers has one empty one.
    """
    columns = by_axis(leaderboard)
    return fitted(columns, [max(least, len(column.facts.name) + _BESIDE_NAME) for column in columns], room)


def fitted(columns: Sequence[PanelColumn], widths: Sequence[float], room: float) -> tuple[Panel, ...]:
    """As few panels as fit, all about equally many scorers wide.

    Args:
        columns: In order.
        widths: Of each.
        room: Of all columns of a panel, in the same unit.
    """
    for count in range(1, len(columns) + 1):
        size, larger = divmod(len(columns), count)
        starts = [i * size + min(i, larger) for i in range(count + 1)]
        if count == len(columns) or all(sum(widths[a:b]) <= room for a, b in pairwise(starts)):
            return tuple(Panel(tuple(columns[a:b])) for a, b in pairwise(starts))
    return (Panel(()),)


def by_axis(leaderboard: Leaderboard) -> tuple[PanelColumn, ...]:
    """All scorers, those of one axis beside each other."""
    columns = [
        PanelColumn(facts, i, decimals(row.cells[i] for row in leaderboard.rows))
        for i, facts in enumerate(leaderboard.columns)
    ]
    return tuple(sorted(columns, key=lambda column: _AXES.index(column.facts.axis)))


def remarks(leaderboard: Leaderboard) -> tuple[str, ...]:
    """What single cells and rows must not hide, collected for the foot of a table."""
    found: list[str] = []
    for i, facts in enumerate(leaderboard.columns):
        notes: dict[str, list[str]] = {}
        for row in leaderboard.rows:
            if row.cells[i].note:
                notes.setdefault(row.cells[i].note, []).append(row.checkpoint.id)
        for note, ids in notes.items():
            of = "" if len(ids) == len(leaderboard.rows) else f" ({', '.join(ids)})"
            found.append(f"{facts.name}{of}: {note}.")
    gaps = [f"{row.checkpoint.id} {row.n_missing}" for row in leaderboard.rows if row.n_missing]
    if gaps:
        found.append(f"Missing scores: {', '.join(gaps)}.")
    return tuple(found)


def in_domain_note(leaderboard: Leaderboard, mark: str) -> str:
    """Explains the mark of in-domain cells; empty where there is none."""
    ids = {row.checkpoint.id for row in leaderboard.rows}
    if not any(ids & set(column.in_domain) for column in leaderboard.columns):
        return ""
    return f"{mark} the scorer knows the data this checkpoint was trained on (in-domain)."
