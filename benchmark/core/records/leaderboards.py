"""What a reader sees: checkpoints against scorers, with intervals and tie groups."""

from dataclasses import dataclass

from benchmark.core.records.checkpoints import Checkpoint
from benchmark.core.records.scores import Axis, Unit


@dataclass(frozen=True)
class ScorerColumn:
    """The facts about a scorer that a table needs.

    Attributes:
        name: Name of the scorer.
        version: Its version with the weights' hash.
        axis: What it measures.
        unit: What one number is about.
        higher_is_better: Its one direction.
        scale: What the numbers look like, in words ("x 100", "0..1").
        primary: Declared by the suite; the others are exploratory.
        in_domain: Ids of the checkpoints trained on the data it was trained on or selected by.
        bounds: The least and the greatest value; None where there is no bound.
    """

    name: str
    version: str
    axis: Axis
    unit: Unit
    higher_is_better: bool
    scale: str = ""
    primary: bool = False
    in_domain: tuple[str, ...] = ()
    bounds: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class LeaderboardCell:
    """One scorer's word on one checkpoint; None where a number cannot be had.

    Attributes:
        scorer: Name of the column.
        mean: Mean over prompts.
        lo: Lower end of its 95 % interval, within the scorer's bounds.
        hi: Upper end of its 95 % interval, likewise.
        difference: Paired mean difference to the reference checkpoint, in the scorer's own sign.
        difference_lo: Lower end of its 95 % interval.
        difference_hi: Upper end of its 95 % interval.
        p_value: Holm-adjusted p of that difference.
        winrate: Share of (prompt, k) pairs won against the reference, ties half.
        group: Tie group; 1 is the group of the best.
        n: Numbers behind the mean.
        n_missing: Rows without a value.
        note: What one must know, such as ``missing: n < 5d``.
    """

    scorer: str
    mean: float | None = None
    lo: float | None = None
    hi: float | None = None
    difference: float | None = None
    difference_lo: float | None = None
    difference_hi: float | None = None
    p_value: float | None = None
    winrate: float | None = None
    group: int | None = None
    n: int = 0
    n_missing: int = 0
    note: str = ""


@dataclass(frozen=True)
class LeaderboardRow:
    """One checkpoint of a leaderboard.

    Attributes:
        checkpoint: Who.
        n_prompts: Prompts with at least one image.
        n_images: Images that were scored.
        n_missing: Images or scores that could not be had.
        cells: One for each column of the leaderboard, in its order.
        ranked: False where more than 1 % is missing.
        note: A mark on the rank, such as an order that missing rows could change.
    """

    checkpoint: Checkpoint
    n_prompts: int
    n_images: int
    n_missing: int
    cells: tuple[LeaderboardCell, ...]
    ranked: bool = True
    note: str = ""


@dataclass(frozen=True)
class Leaderboard:
    """The result of an evaluation, ready for every export.

    Attributes:
        suite: Name of the prompt set and its size.
        rows: The checkpoints.
        built_from: The score tables it was computed from, by path or hash.
        columns: The scorers, in order.
        reference: Id of the checkpoint the differences are against.
        signature: One line from which a reader can tell whether two numbers are comparable.
        notes: What is printed under the table, such as the minimum detectable effect.
    """

    suite: str
    rows: tuple[LeaderboardRow, ...]
    built_from: tuple[str, ...]
    columns: tuple[ScorerColumn, ...] = ()
    reference: str = ""
    signature: str = ""
    notes: tuple[str, ...] = ()
