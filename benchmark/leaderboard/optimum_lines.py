"""The lines of closed-form optima in a frontier's table: their points, and what is hollow of them."""

from dataclasses import dataclass, replace
from typing import Final

from benchmark.core.records import Checkpoint, Hyperparameter, ScorerColumn
from benchmark.leaderboard.score_table import ScoreTable

VALUE: Final = "optimum_d_f"
KL: Final = "optimum_kl"
EFFECTIVE_SHARE: Final = "optimum_effective_share"
EFFECTIVE_SIZE: Final = "optimum_effective_size"
OPTIMUM_COLUMNS: Final = (VALUE, KL, EFFECTIVE_SHARE, EFFECTIVE_SIZE)
"""What such a table has beside its scorers: D_f, KL in nats, effective sample size over the pool's."""

HOLLOW_BELOW: Final = 0.25
"""A point is hollow, and nothing is read off it, where the effective share of the pool is below this, the
mean over prompts."""

_SCALES: Final = {
    VALUE: "the penalty, without beta",
    KL: "nats, KL(p || base) on the pool",
    EFFECTIVE_SHARE: "(sum u)^2 / (n sum u^2)",
    EFFECTIVE_SIZE: "images, (sum u)^2 / sum u^2",
}

_OF, _DIVERGENCE, _LINE, _POOL = "optimum_of", "optimum_under", "optimum_line", "pool"


def optimum_column(name: str) -> ScorerColumn:
    """The facts of a column that says what the weights are like."""
    return ScorerColumn(
        name, "1", "distance", "prompt", name in (EFFECTIVE_SHARE, EFFECTIVE_SIZE), _SCALES[name]
    )


def optimum_point(
    base: Checkpoint, divergence: str, line: str, beta: float, reward: str, pool: int
) -> Checkpoint:
    """The optimum under a divergence at a beta, as a checkpoint of a frontier's table.

    Args:
        base: The base model.
        divergence: As one would type it, without a knee.
        line: The first divergence of the table that has the same line.
        beta: Its weight, in units of the reward.
        reward: The scorer.
        pool: Images a prompt.
    """
    # An id is the name of a folder.
    name = divergence.replace("/", ":").replace("\\", ":")
    facts: dict[str, Hyperparameter] = {
        "beta": beta,
        _OF: reward,
        _DIVERGENCE: divergence,
        _LINE: line,
        _POOL: pool,
    }
    return replace(base, id=f"{base.id}@optimum-{name}-{beta:.6g}", hyperparameters=facts)


@dataclass(frozen=True)
class OptimumLine:
    """The optima under one divergence.

    Attributes:
        divergence: As one would type it, without a knee.
        drawn_as: The first divergence of the table with the same line; itself for most.
        reward: The scorer whose mean is maximised.
        pool: Images of the base a prompt.
        points: Their checkpoints, from weak to strong.
        effective_shares: Effective sample size of each over that of the pool, the mean over prompts.
    """

    divergence: str
    drawn_as: str
    reward: str
    pool: int
    points: tuple[Checkpoint, ...]
    effective_shares: tuple[float, ...]

    @property
    def hollow(self) -> tuple[bool, ...]:
        """Which points nothing is read off: few images have nearly all the weight."""
        return tuple(not share >= HOLLOW_BELOW for share in self.effective_shares)


def optimum_lines(table: ScoreTable) -> tuple[OptimumLine, ...]:
    """The lines of a frontier's table, in its order; none where it has no optima."""
    found: dict[str, list[Checkpoint]] = {}
    for point in table.checkpoints:
        if _OF in point.hyperparameters:
            found.setdefault(str(point.hyperparameters[_DIVERGENCE]), []).append(point)
    if not found:
        return ()
    rows = table.rows_of(EFFECTIVE_SHARE)
    means = rows.groupby("checkpoint")["value"].mean().to_dict()
    lines = []
    for divergence, points in found.items():
        ordered = tuple(sorted(points, key=lambda point: -beta_of(point)))
        facts = ordered[0].hyperparameters
        shares = tuple(float(means[point.id]) for point in ordered)
        pool = int(facts[_POOL] or 0)
        lines.append(OptimumLine(divergence, str(facts[_LINE]), str(facts[_OF]), pool, ordered, shares))
    return tuple(lines)


def beta_of(point: Checkpoint) -> float:
    """The weight of the divergence at a point of a line."""
    return float(point.hyperparameters["beta"] or 0)
