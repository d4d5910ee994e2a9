"""Do the learned scorers say of a policy what the truth says? Rises, falls, or neither, seed by seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmark.core.records import Leaderboard, LeaderboardCell

TRUTHS: Final = {
    "pickscore": "true_reward",
    "hps": "true_reward_heldout",
    "imagereward": "true_reward_heldout",
    "clip": "oracle",
}
"""What each learned scorer was made to see: the annotators whose choices it was tuned on, or the content."""

Direction = Literal["up", "down", "open"]


@dataclass(frozen=True)
class Agreement:
    """A learned scorer beside its truth, over the training seeds of an arm.

    Attributes:
        scorer: The learned one.
        truth: What it stands for.
        difference: Its paired difference to the base, the mean over seeds.
        true_difference: The truth's.
        agree: Seeds in which both intervals exclude zero on the same side.
        against: Seeds in which they do so on opposite sides.
        seeds: How many there are; in the others one of the two intervals holds zero.
    """

    scorer: str
    truth: str
    difference: float
    true_difference: float
    agree: int
    against: int
    seeds: int

    def words(self) -> str:
        """What it comes to, in words."""
        if self.against:
            return f"AGAINST the truth in {self.against} of {self.seeds} seeds"
        if self.agree:
            return f"as the truth in {self.agree} of {self.seeds} seeds, open in the others"
        return "open: one of the two intervals holds zero in every seed"


def agreements(leaderboard: Leaderboard, judged: Sequence[str]) -> tuple[Agreement, ...]:
    """Compares every learned scorer of `TRUTHS` that the leaderboard has with its truth.

    Args:
        leaderboard: With paired differences to the base.
        judged: Ids of the runs of an arm.
    """
    names = {column.name for column in leaderboard.columns}
    rows = {row.checkpoint.id: {cell.scorer: cell for cell in row.cells} for row in leaderboard.rows}
    return tuple(
        _agreement(scorer, truth, [(rows[id_][scorer], rows[id_][truth]) for id_ in judged])
        for scorer, truth in TRUTHS.items()
        if {scorer, truth} <= names
    )


def _agreement(
    scorer: str, truth: str, seeds: Sequence[tuple[LeaderboardCell, LeaderboardCell]]
) -> Agreement:
    pairs = [(direction(learned), direction(true)) for learned, true in seeds]
    both = [(one, other) for one, other in pairs if "open" not in (one, other)]
    same = sum(one == other for one, other in both)
    means = [sum(cell.difference or 0.0 for cell in cells) / len(seeds) for cells in zip(*seeds, strict=True)]
    return Agreement(scorer, truth, means[0], means[1], same, len(both) - same, len(seeds))


def direction(cell: LeaderboardCell) -> Direction:
    """Whether the 95 % interval of a difference lies above zero, below it, or holds it."""
    if cell.difference_lo is None or cell.difference_hi is None:
        return "open"
    return "up" if cell.difference_lo > 0 else "down" if cell.difference_hi < 0 else "open"
