"""The finding of a leaderboard in one sentence: which checkpoint gained most, and what it lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.core.records import Axis, Leaderboard, LeaderboardCell, ScorerColumn
from benchmark.core.words import listed
from benchmark.leaderboard.names import SeedGroup, seed_groups
from benchmark.report.numbers import better_or_worse, decimals, signed
from benchmark.report.titles import column_title

_MINUS = "\N{MINUS SIGN}"
_NAMED = 2
"""Names of others that a sentence holds; more of them are counted."""


@dataclass(frozen=True)
class _Gains:
    """The checkpoints of one seed group on one scorer.

    Attributes:
        name: Of the group.
        cells: Of its checkpoints, all of which were tested against the reference.
        column: The scorer.
        places: Decimals of its column.
    """

    name: str
    cells: tuple[LeaderboardCell, ...]
    column: ScorerColumn
    places: int

    def all_are(self, verdict: int) -> bool:
        """Whether every one is better (1) or worse (-1) than the reference beyond chance."""
        higher = self.column.higher_is_better
        return all(better_or_worse(cell, higher_is_better=higher) == verdict for cell in self.cells)

    @property
    def worth(self) -> float:
        """The mean difference, more of it better."""
        total = sum(cell.difference or 0.0 for cell in self.cells) / len(self.cells)
        return total if self.column.higher_is_better else -total

    def told(self, over: str = "") -> str:
        """The scorer with the difference, or the least and the greatest one."""
        ends = sorted(cell.difference or 0.0 for cell in self.cells)
        texts = dict.fromkeys(signed(end, self.places).replace("-", _MINUS) for end in (ends[0], ends[-1]))
        return f"{column_title(self.column)} ({' to '.join(texts)}{over})"


def finding(
    board: Leaderboard, preference: ScorerColumn | None = None, others: Sequence[ScorerColumn] | None = None
) -> str:
    """The finding, of the numbers that the table has: paired differences and their Holm-adjusted tests.

    Checkpoints that are alike but for their training seed count as one, whose differences are told from the
    least to the greatest; it has gained or lost where each of them has, beyond chance.

    Args:
        board: What to tell.
        preference: The scorer whose gain comes first; by default as :func:`first_column`.
        others: Scorers that may be lost; by default those that the suite declares, or the first of diversity.

    Returns:
        A sentence; empty without a scorer of preference, or where nothing was tested on it.
    """
    wanted = preference or first_column(board, "preference")
    groups = seed_groups([row.checkpoint for row in board.rows if row.checkpoint.id != board.reference])
    found = _on(board, groups, wanted) if wanted else []
    if wanted is None or not found:
        return ""
    losable = _losable(board, wanted) if others is None else others
    winners = [gains for gains in found if gains.all_are(1)]
    if not winners:
        return _without_winner(board, groups, wanted, losable)
    best = max(winners, key=lambda gains: gains.worth)
    own = [gains for column in losable for gains in _on(board, groups, column) if gains.name == best.name]
    won, lost = ([gains for gains in own if gains.all_are(verdict)] for verdict in (1, -1))
    kept = [gains for gains in own if gains not in won]
    gains_most = "gains the most" if wanted.higher_is_better else "is best in"
    told = [f"{best.name} {gains_most} {best.told(f' over {board.reference}')}"]
    # Of what is better when it is less, a loss would be good news.
    for verbs, gains_of in ((("also gains", "is also better in"), won), (("loses", "is worse in"), lost)):
        if gains_of:
            verb = verbs[not all(gains.column.higher_is_better for gains in gains_of)]
            told.append(f"{verb} {listed([gains.told() for gains in gains_of])}")
    parts = [listed(told)]
    if kept and not lost:
        parts.append(f", with no loss beyond chance of {listed([gains.told() for gains in kept])}")
    if len(best.cells) > 1:
        parts.append(f", in each of {len(best.cells)} training seeds")
    return "".join([*parts, _not_told_apart(found, best) if others is None else "", "."])


def first_column(board: Leaderboard, axis: Axis) -> ScorerColumn | None:
    """The first scorer of an axis that the suite declares, or else the first."""
    of_axis = [column for column in board.columns if column.axis == axis]
    return next((column for column in of_axis if column.primary), of_axis[0] if of_axis else None)


def _losable(board: Leaderboard, wanted: ScorerColumn) -> list[ScorerColumn]:
    """The scorers that a sentence about all tells of, diversity first."""
    diversity = first_column(board, "diversity")
    declared = [c for c in board.columns if c.primary and c not in (wanted, diversity)]
    return [*([diversity] if diversity else []), *declared]


def _on(board: Leaderboard, groups: Sequence[SeedGroup], column: ScorerColumn) -> list[_Gains]:
    at = board.columns.index(column)
    places = decimals(row.cells[at] for row in board.rows)
    cells = {row.checkpoint.id: row.cells[at] for row in board.rows}
    own = [(group.name, tuple(cells[id_] for id_ in group.ids)) for group in groups]
    return [
        _Gains(name, of_group, column, places)
        for name, of_group in own
        if all(cell.difference is not None and cell.p_value is not None for cell in of_group)
    ]


def _without_winner(
    board: Leaderboard, groups: Sequence[SeedGroup], wanted: ScorerColumn, losable: Sequence[ScorerColumn]
) -> str:
    sentence = f"None gains {column_title(wanted)} over {board.reference} beyond chance"
    for column in losable[:1]:
        losers = [gains for gains in _on(board, groups, column) if gains.all_are(-1)]
        if losers:
            sentence += f"; {_shortened([gains.name for gains in losers])} lose"
            sentence += f"{'s' * (len(losers) == 1)} {column_title(column)}"
    return f"{sentence}."


def _not_told_apart(found: Sequence[_Gains], best: _Gains) -> str:
    """The others with a checkpoint in the group of the best."""
    others = [g.name for g in found if g is not best and any(cell.group == 1 for cell in g.cells)]
    if not others or not any(cell.group == 1 for cell in best.cells):
        return ""
    return f"; {_shortened(others)} cannot be told apart from it in {column_title(best.column)}"


def _shortened(names: Sequence[str]) -> str:
    return listed(names) if len(names) <= _NAMED else f"{len(names)} others"
