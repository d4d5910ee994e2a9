"""How far trained checkpoints are from the closed-form optimum under their own divergence."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd

from benchmark.core.records import Checkpoint, LineDistance, Plane, ScorerColumn
from benchmark.leaderboard.names import display_names, without_knee
from benchmark.leaderboard.optimum_lines import OptimumLine, optimum_lines
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.leaderboard.trade_off_plane import own_values, sampled_scorer
from benchmark.stats.arrays import FloatArray
from benchmark.stats.cells import over_own_prompts
from benchmark.stats.curves import sweep_curves
from benchmark.stats.intervals import Interval
from benchmark.stats.resampling import resample_counts
from benchmark.stats.sweeps import LOST
from benchmark.stats.training_runs import Difference

ON, BELOW, BEYOND = "on it", "below it", "beyond it"
PAST, NEAR, OUTSIDE = "past its end", "too near an end", "outside its range"

_RANGE: Final = {
    PAST: ": it has gained more {upward} than the last point that is not hollow",
    NEAR: ": in more than 5 % of the resamples of prompts it is outside, and nothing is said",
    OUTSIDE: ", which is from the base to its last point that is not hollow",
}

RESAMPLES_OF_LINES: Final = 2000
"""Of prompts; the interval needs their spread and no quantile of them."""

_BLOCK: Final = 250
_RELATIVE_ZERO: Final = 1e-12
_PROMPTS: Final = 3


def distances_from_lines(
    scores: ScoreTable,
    table: ScoreTable,
    across: str,
    upward: str,
    *,
    resamples: int = RESAMPLES_OF_LINES,
    seed: int = 0,
) -> tuple[LineDistance, ...]:
    r"""Each trained checkpoint against the line of its own divergence, in gains over the base.

    A gain is the mean less the base's: of a checkpoint over the base of the evaluation, with which it
    shares its noise, of a line over the plain mean of its pool. The line goes through the base and the
    points that are not hollow, isotonic as the curves of :func:`benchmark.stats.curves.sweep_curves`,
    linear between points, and nothing is said beyond its ends. Prompts are drawn with replacement,
    jointly for the evaluation and the pool, and both curve and checkpoint are read again in each
    resample; the interval is $\hat\theta \pm t_{P-1} \mathrm{sd}^*$.

    Args:
        scores: Of the evaluation.
        table: Of ``fbench frontier --closed-form``.
        across: Scorer of the first axis.
        upward: Scorer of the second axis.
        resamples: Bootstrap resamples.
        seed: Of the draws.

    Returns:
        One for each trained checkpoint whose divergence has a line; none where the tables lack a base model
        or a scorer.
    """
    facts = [sampled_scorer(table, name) for name in (across, upward)]
    evaluation, pool = ([own_values(of, column) for column in facts] for of in (scores, table))
    base, pool_base = scores.base(), table.checkpoints[0].id
    ranked, weighed = ([id_ for id_ in of[0] if id_ in of[1]] for of in (evaluation, pool))
    found = []
    for line in optimum_lines(table) if base in ranked and pool_base in weighed else ():
        runs = [c.id for c in scores.checkpoints if _is_of(c, line) and c.id in ranked]
        marked = zip(line.points, line.hollow, strict=True)
        points = [point.id for point, hollow in marked if not hollow and point.id in weighed]
        if runs and points:
            gains = _gains(evaluation, [base, *runs]), _gains(pool, [pool_base, *points])
            found += _against(line, runs, *gains, facts, resamples, seed)
    order = [c.id for c in scores.checkpoints]
    return tuple(sorted(found, key=lambda one: order.index(one.checkpoint)))


def _is_of(checkpoint: Checkpoint, line: OptimumLine) -> bool:
    return checkpoint.divergence is not None and without_knee(checkpoint.divergence) == line.divergence


def distance_lines(plane: Plane, checkpoints: Sequence[Checkpoint]) -> list[str]:
    """The distances of a plane in words, one line a checkpoint."""
    names = display_names(checkpoints)
    return [_sentence(d, names[d.checkpoint], plane.across, plane.upward) for d in plane.distances]


def _sentence(distance: LineDistance, name: str, across: str, upward: str) -> str:
    parts = [
        f"{what} {value:+.3g} [{lo:+.3g}, {hi:+.3g}] at equal {other}"
        for what, other, value, lo, hi in (
            (across, upward, distance.x, distance.x_lo, distance.x_hi),
            (upward, across, distance.y, distance.y_lo, distance.y_hi),
        )
        if value is not None
    ]
    return (
        f"{name} against the optimum of {distance.reward} under {distance.divergence}: "
        f"{distance.verdict}{'; ' if parts else _RANGE[distance.verdict].format(upward=upward)}"
        f"{'; '.join(parts)}."
    )


def _gains(values: Sequence[pd.DataFrame], ids: Sequence[str | None]) -> pd.DataFrame:
    """Gains over the first of some checkpoints by prompt: columns (axis, checkpoint), without gaps."""
    both = pd.concat([of[list(ids)] for of in values], axis=1, keys=range(len(values)))
    filled = both.copy()
    filled[:] = over_own_prompts(both.to_numpy())
    first = pd.concat([filled[i, ids[0]] for i in range(len(values)) for _ in ids], axis=1).to_numpy()
    return filled - first


def _against(
    line: OptimumLine,
    runs: Sequence[str],
    of_runs: pd.DataFrame,
    of_line: pd.DataFrame,
    facts: Sequence[ScorerColumn],
    resamples: int,
    seed: int,
) -> list[LineDistance]:
    """The checkpoints of one divergence against its line."""
    prompts = of_runs.index.intersection(of_line.index)
    if len(prompts) < _PROMPTS:
        return []
    signs = np.array([1.0 if column.higher_is_better else -1.0 for column in facts])
    # (prompts, axes, runs or points), larger is better on both axes.
    mine, curve = (
        of.loc[prompts].to_numpy().reshape(len(prompts), 2, -1) * signs[:, None] for of in (of_runs, of_line)
    )
    drawn = np.concatenate([
        _read(np.tensordot(counts, mine, 1), np.tensordot(counts, curve, 1))
        for counts in _shares(len(prompts), resamples, seed)
    ])  # fmt: skip
    seen = _read(mine.mean(axis=0)[None], curve.mean(axis=0)[None])[0]
    zero = _RELATIVE_ZERO * np.abs(curve).max(axis=(0, 2))
    distances = []
    for i, run in enumerate(runs, start=1):
        ends = [_interval(seen[axis, i], drawn[:, axis, i], zero[axis], len(prompts)) for axis in (0, 1)]
        x, x_lo, x_hi = _numbers(ends[0], float(signs[0]))
        y, y_lo, y_hi = _numbers(ends[1], float(signs[1]))
        further = mine[:, 1, i].mean() > curve[:, 1].mean(axis=0).max()
        inside = not np.isnan(seen[:, i]).all()
        verdict = _verdict(ends, outside=PAST if further else NEAR if inside else OUTSIDE)
        distances.append(
            LineDistance(run, line.divergence, line.reward, x, x_lo, x_hi, y, y_lo, y_hi, verdict)
        )
    return distances


def _shares(prompts: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Which share of a resample each prompt is, in blocks."""
    for counts in resample_counts(prompts, resamples, seed):
        for start in range(0, len(counts), _BLOCK):
            yield counts[start : start + _BLOCK] / prompts


def _read(mine: FloatArray, curve: FloatArray) -> FloatArray:
    """Distances on each axis where the other is equal; ``NaN`` beyond the ends of the line.

    Args:
        mine: Gains of the runs, shape (resamples, 2, runs).
        curve: Gains of the points, the base first, from weak to strong, shape (resamples, 2, points).

    Returns:
        Same shape as `mine`.
    """
    across, upward = curve[:, 0], curve[:, 1]
    at_reward = sweep_curves(upward, across)
    # What falls along the line rises with its sign turned.
    at_diversity = sweep_curves(-across, upward)
    runs = range(mine.shape[2])
    on_first = np.stack([mine[:, 0, i] - at_reward.at(mine[:, 1, i]) for i in runs], axis=1)
    on_second = np.stack([mine[:, 1, i] - at_diversity.at(-mine[:, 0, i]) for i in runs], axis=1)
    return np.stack([on_first, on_second], axis=1)


def _interval(value: float, drawn: FloatArray, zero: float, prompts: int) -> Interval | None:
    """None where the checkpoint is beyond the line, or is so in more than 5 % of the resamples."""
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or known.size < (1 - LOST) * drawn.size:
        return None
    # What is less than rounding is none, so that a point of the line is on it.
    at, error = (0.0 if abs(x) <= zero else float(x) for x in (value, known.std(ddof=1)))
    return Difference(at, error, prompts - 1.0).interval(n=prompts)


def _numbers(interval: Interval | None, sign: float) -> tuple[float | None, float | None, float | None]:
    """Value, lower and upper end in the scorer's own sign."""
    if interval is None:
        return None, None, None
    lo, hi = sorted((sign * interval.lo, sign * interval.hi))
    return sign * interval.value, lo, hi


def _verdict(ends: Sequence[Interval | None], *, outside: str) -> str:
    """In words; where the axes disagree, which a line that does not fall can do, the first decides."""
    known = [e for e in ends if e is not None]
    if not known:
        return outside
    return next((BEYOND if e.lo > 0 else BELOW for e in known if e.lo > 0 or e.hi < 0), ON)
