"""What a reader sees: checkpoints against scorers, with intervals and tie groups."""

from dataclasses import dataclass

from benchmark.core.records.base import Record
from benchmark.core.records.checkpoints import Checkpoint
from benchmark.core.records.scores import Axis, Unit
from benchmark.core.words import number_of


@dataclass(frozen=True)
class ScorerColumn(Record):
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
        embedded: Whether a toy model of the embedded world stands for the published one of that name.
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
    embedded: bool = False

    @property
    def label(self) -> str:
        """What people read above its numbers: a toy model is not taken for the published one.

        Example:
            >>> ScorerColumn("clip", "1@943ae805", "alignment", "image", True, embedded=True).label
            'clip (embedded)'
        """
        return f"{self.name} (embedded)" if self.embedded else self.name


@dataclass(frozen=True)
class LeaderboardCell:
    """One scorer's word on one checkpoint; None where a number cannot be had.

    Attributes:
        scorer: Name of the column.
        mean: Mean over the prompts that this checkpoint has for this scorer.
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
        detectable: Minimum detectable difference from the reference (80 % power, 5 %).
        n_prompts: Prompts behind the mean; None for a scorer of whole sets.
        difference_n_prompts: Prompts behind the difference: those that both checkpoints have.
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
    detectable: float | None = None
    n_prompts: int | None = None
    difference_n_prompts: int | None = None


@dataclass(frozen=True)
class Cost:
    """What a checkpoint cost; None where it is not known.

    Attributes:
        train_seconds: Wall time of its training steps, over all resumes, without preparation and saving.
        eval_seconds: Wall time of making and scoring its images, over all attempts in the folder, without the
            loading of models; what was found there from another prompt set or size is not counted.
        memory_gb: Peak memory of the process that trained it, in GB (10^9 bytes): on a GPU what torch held
            there, else the resident memory. Policies that were trained together share it.
    """

    train_seconds: float | None = None
    eval_seconds: float | None = None
    memory_gb: float | None = None


@dataclass(frozen=True)
class WorkerSpeed(Record):
    """One worker's part of an evaluation that several did.

    Attributes:
        name: Such as ``worker 3``.
        node: The machine, and what it computed on.
        units: Pieces of work that it finished.
        images: Images it made.
        image_seconds: What that took, in seconds.
        scored: Images it scored, with all scorers at once.
        score_seconds: What that took, in seconds.
        restarts: How often its process died and began anew.
    """

    name: str
    node: str
    units: int = 0
    images: int = 0
    image_seconds: float = 0.0
    scored: int = 0
    score_seconds: float = 0.0
    restarts: int = 0


@dataclass(frozen=True)
class LeaderboardRow(Record):
    """One checkpoint of a leaderboard.

    Attributes:
        checkpoint: Who.
        n_prompts: Prompts with at least one image.
        n_images: Images that were scored.
        n_missing: Images or scores that could not be had.
        cells: One for each column of the leaderboard, in its order.
        ranked: False where more than 1 % is missing.
        note: A mark on the rank, such as an order that missing rows could change.
        cost: What it took to train and to evaluate.
    """

    checkpoint: Checkpoint
    n_prompts: int
    n_images: int
    n_missing: int
    cells: tuple[LeaderboardCell, ...]
    ranked: bool = True
    note: str = ""
    cost: Cost = Cost()


@dataclass(frozen=True)
class PlanePoint(Record):
    r"""A checkpoint in the plane of two scorers.

    Attributes:
        checkpoint: Its id.
        x: Mean on the first axis, in the scorer's own unit and sign: the number of its table cell.
        y: Mean on the second axis, likewise.
        covariance: $(V_{xx}, V_{xy}, V_{yy})$ of the two means less those of the reference, under one
            resampling of prompts; None with fewer than three prompts on an axis.
        q: Its 95 % region is $(z - c)^\top V^{-1} (z - c) \le q$ with $c = (x, y)$; the reference's own is a
            point.
        may_be_on_front: Whether it is in the 95 % confidence set of the Pareto front.
        support: Share of resamples in which it is on the front: no probability.
        n_x: Prompts behind the first mean.
        n_y: Prompts behind the second.
    """

    checkpoint: str
    x: float
    y: float
    covariance: tuple[float, float, float] | None
    q: float | None
    may_be_on_front: bool
    support: float
    n_x: int | None = None
    n_y: int | None = None


@dataclass(frozen=True)
class FrontierPoint(Record):
    """One setting of something that trades diversity for preference without training.

    Attributes:
        label: Such as ``cfg 3`` or ``n = 4``.
        x: As in :class:`PlanePoint`, and so the rest.
        y: Mean on the second axis.
        covariance: Of the two means less those of the base model.
        q: Squared radius of the 95 % region.
        n_x: Prompts behind the first mean.
        n_y: Prompts behind the second.
        effective_share: Of the optimum under a divergence: effective sample size over the size of the pool.
        hollow: Whether that is too small to be read from.
    """

    label: str
    x: float
    y: float
    covariance: tuple[float, float, float] | None = None
    q: float | None = None
    n_x: int | None = None
    n_y: int | None = None
    effective_share: float | None = None
    hollow: bool = False


@dataclass(frozen=True)
class Frontier(Record):
    """A curve of the base model through the plane.

    Attributes:
        name: Such as ``guidance`` or ``best of n by pickscore``.
        points: In the order of the parameter.
        divergence: Of the penalty, where the curve is the optimum under one; empty for other frontiers.
        reward: The scorer whose mean it is the optimum of; empty likewise.
        pool: Images of the base a prompt that it weighs.
    """

    name: str
    points: tuple[FrontierPoint, ...]
    divergence: str = ""
    reward: str = ""
    pool: int | None = None


@dataclass(frozen=True)
class LineDistance:
    """How far a trained checkpoint is from the optimum under its own divergence, in gains over the base.

    Attributes:
        checkpoint: Its id.
        divergence: Its own.
        reward: The scorer whose mean the line is the optimum of.
        x: Checkpoint less line on the first axis, where the line has gained as much on the second; None where
            it never does, or not in enough of the resamples.
        x_lo: Lower end of its 95 % interval.
        x_hi: Upper end.
        y: Checkpoint less line on the second axis, where the line has as much of the first; None likewise.
        y_lo: Lower end of its 95 % interval.
        y_hi: Upper end.
        verdict: ``on it``, ``below it``, ``beyond it``, ``past its end``, ``too near an end`` or ``outside
            its range``.
    """

    checkpoint: str
    divergence: str
    reward: str
    x: float | None
    x_lo: float | None
    x_hi: float | None
    y: float | None
    y_lo: float | None
    y_hi: float | None
    verdict: str


@dataclass(frozen=True)
class Plane(Record):
    """The trade-off between two scorers.

    Attributes:
        across: Scorer of the first axis: diversity.
        upward: Scorer of the second axis: preference.
        points: The checkpoints that are ranked on both.
        corner: Reference point of every hypervolume, in the scorers' own units: the base's means less three
            within-prompt standard deviations towards worse; None without a base model.
        front_notes: Sentences on the front, such as differences of hypervolume.
        frontiers: What needs no training.
        distances: Of trained checkpoints from the optimum under their own divergence.
    """

    across: str
    upward: str
    points: tuple[PlanePoint, ...]
    corner: tuple[float, float] | None = None
    front_notes: tuple[str, ...] = ()
    frontiers: tuple[Frontier, ...] = ()
    distances: tuple[LineDistance, ...] = ()


@dataclass(frozen=True)
class Gap(Record):
    """How much more a checkpoint gained on one scorer than on others.

    Attributes:
        checkpoint: Its id.
        kind: ``hacking``, ``proxy gap``, ``taste transfer`` or ``content loss``.
        gained: The scorer that gained; empty for ``content loss``.
        held_out: The scorers it is compared with.
        value: In within-prompt standard deviations of the base. Positive is bad, but for ``taste transfer``,
            where it says how much of the gain is one population's taste.
        lo: Lower end of the 95 % interval; None with fewer than two prompts.
        hi: Upper end.
        n_prompts: Prompts that both checkpoints have for all of these scorers.
    """

    checkpoint: str
    kind: str
    gained: str
    held_out: tuple[str, ...]
    value: float
    lo: float | None
    hi: float | None
    n_prompts: int | None = None


@dataclass(frozen=True)
class TagCell:
    """One scorer's word on one checkpoint, on the prompts of one tag.

    Attributes:
        tag: Such as ``count_2`` or ``relation``.
        scorer: Name of the scorer, of unit image or prompt.
        checkpoint: Id.
        n_prompts: Prompts of the tag with a number.
        mean: Mean over them; None where there is none.
        difference: Paired mean difference to the reference on them, in the scorer's own sign; None for the
            reference itself.
        lo: Lower end of the difference's 95 % interval; None with fewer than two prompts.
        hi: Upper end.
    """

    tag: str
    scorer: str
    checkpoint: str
    n_prompts: int
    mean: float | None
    difference: float | None
    lo: float | None
    hi: float | None


@dataclass(frozen=True, repr=False)
class Leaderboard(Record):
    """The result of an evaluation, ready for every export.

    Attributes:
        suite: Name of the prompt set and its size.
        rows: The checkpoints.
        built_from: The score tables it was computed from, by path or hash.
        columns: The scorers, in order.
        reference: Id of the checkpoint the differences are against.
        signature: One line from which a reader can tell whether two numbers are comparable.
        notes: What is printed under the table, such as the minimum detectable effect.
        planes: Trade-offs of diversity and preference, the primary pair first.
        gaps: The hacking index and its three truths, by checkpoint.
        by_tag: The numbers by what a prompt is about; filled on demand.
    """

    suite: str
    rows: tuple[LeaderboardRow, ...]
    built_from: tuple[str, ...]
    columns: tuple[ScorerColumn, ...] = ()
    reference: str = ""
    signature: str = ""
    notes: tuple[str, ...] = ()
    planes: tuple[Plane, ...] = ()
    gaps: tuple[Gap, ...] = ()
    by_tag: tuple[TagCell, ...] = ()

    def __repr__(self) -> str:
        """What it is of, in a line; `to_pandas` of an opened evaluation has the numbers."""
        sizes = f"{number_of(len(self.rows), 'checkpoint')} by {number_of(len(self.columns), 'scorer')}"
        return f"<Leaderboard of {sizes} on {self.suite}>"
