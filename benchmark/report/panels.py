"""Wide leaderboards in panels that fit a page or a terminal, scorers of one axis side by side."""

from collections.abc import Iterator, Mapping, Sequence
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
from benchmark.report.numbers import decimals
from benchmark.report.titles import column_title, headed

_AXES: tuple[Axis, ...] = get_args(Axis)
_SELECTED = frozenset(("true_diversity", "true_taste", "true_taste_heldout"))
_ACCEPTED = "scene_rate"
# The space between columns.
_BESIDE_NAME = 3


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
    return fitted(columns, [max(least, len(headed(column.facts)) + _BESIDE_NAME) for column in columns], room)


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


def remarks(leaderboard: Leaderboard, names: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Remarks of single cells and rows, and sizes, collected for the foot of a table.

    Args:
        leaderboard: Whose.
        names: Of the checkpoints by id, as the table has them; by default their ids.
    """
    return (*cell_remarks(leaderboard, names), *_sizes(leaderboard, names or {}))


def cell_remarks(leaderboard: Leaderboard, names: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Why numbers are not there, or are not what they seem."""
    called = _Called(names or {})
    found: list[str] = []
    for i, facts in enumerate(leaderboard.columns):
        notes: dict[str, list[str]] = {}
        for row in leaderboard.rows:
            if row.cells[i].note:
                notes.setdefault(row.cells[i].note, []).append(called[row.checkpoint.id])
        # Notes that differ by their count alone are one sentence.
        alike: dict[str, list[tuple[str, list[str]]]] = {}
        for note, ids in notes.items():
            count, _, rest = note.partition(" ") if note[0].isdecimal() else ("", "", note)
            alike.setdefault(rest, []).append((count, ids))
        for rest, counts in alike.items():
            if len(counts) > 1:
                told = ", ".join(f"{count} ({', '.join(ids)})" for count, ids in counts)
                found.append(f"{column_title(facts)}: {told} {rest}.")
                continue
            ((count, ids),) = counts
            of = "" if len(ids) == len(leaderboard.rows) else f" ({', '.join(ids)})"
            found.append(f"{column_title(facts)}{of}: {f'{count} {rest}'.strip()}.")
    gaps = [f"{called[row.checkpoint.id]} {row.n_missing}" for row in leaderboard.rows if row.n_missing]
    if gaps:
        found.append(f"Missing scores: {', '.join(gaps)}.")
    return tuple(found)


class _Called(dict[str, str]):
    """Names by id; what has none is called by its id."""

    def __missing__(self, id_: str) -> str:
        return id_


def prompts_beside(leaderboard: Leaderboard, cell: LeaderboardCell) -> int | None:
    """The n that stands beside a mean: its prompts, where they are not as many as others have; else None."""
    return None if cell.n_prompts == usual_prompts(leaderboard) else cell.n_prompts


def usual_prompts(leaderboard: Leaderboard) -> int | None:
    """The most prompts behind a mean: what goes without saying beside it; None without such a mean."""
    known = [cell.n_prompts for row in leaderboard.rows for cell in row.cells if cell.n_prompts]
    return max(known, default=None)


def _sizes(leaderboard: Leaderboard, names: Mapping[str, str]) -> Iterator[str]:
    """How many prompts are behind the means, and what it does to a mean where they are not all."""
    usual = usual_prompts(leaderboard)
    if usual is None:
        return
    yield f"n, the prompts behind a mean: {usual}, where nothing else is said."
    called, partial = _Called(names), []
    for i, facts in enumerate(leaderboard.columns):
        cells = {called[row.checkpoint.id]: row.cells[i] for row in leaderboard.rows}
        if any(prompts_beside(leaderboard, cell) for cell in cells.values()):
            own = (f"{id_} {_size(cell)}" for id_, cell in cells.items() if cell.n_prompts is not None)
            yield f"n of {column_title(facts)}, in brackets that of the difference: {', '.join(own)}."
            partial.append(facts.name)
    if partial:
        yield (
            "A prompt without a number is not in the mean: where a worse checkpoint lacks more of them its "
            "mean flatters it, and the difference, over prompts that both have, says more."
        )
    selected = [name for name in partial if name in _SELECTED]
    if selected and any(column.name == _ACCEPTED for column in leaderboard.columns):
        yield f"Only accepted scenes enter {' and '.join(selected)}: {_ACCEPTED} says how many there are."


def _size(cell: LeaderboardCell) -> str:
    difference = cell.difference_n_prompts
    return f"{cell.n_prompts}" if difference is None else f"{cell.n_prompts} ({difference})"


def in_domain_note(leaderboard: Leaderboard, mark: str) -> str:
    """Explains the mark of in-domain cells; empty where there is none."""
    ids = {row.checkpoint.id for row in leaderboard.rows}
    if not any(ids & set(column.in_domain) for column in leaderboard.columns):
        return ""
    return f"{mark} the scorer knows the data this checkpoint was trained on (in-domain)."
