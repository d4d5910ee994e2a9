"""Share of pairs that a candidate wins."""

from dataclasses import replace

import numpy as np

from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.intervals import Interval, mean_intervals


def win_rate(candidate: FloatArray, reference: FloatArray, *, higher_is_better: bool) -> float:
    r"""Share of (prompt, k) pairs won against the reference, ties half.

    $\frac{1}{|C|} \sum_{(p,k) \in C} \mathbb 1[y_{pk} > y^{\mathrm{ref}}_{pk}]
    + \tfrac12 \mathbb 1[y_{pk} = y^{\mathrm{ref}}_{pk}]$ over the cells $C$ that both have.

    Args:
        candidate: Values, shape (prompts, images), ``NaN`` where missing.
        reference: Same shape.
        higher_is_better: Which of two values wins.

    Returns:
        A number in [0, 1]; ``NaN`` without a common cell.
    """
    wins = _wins(candidate, reference, higher_is_better=higher_is_better)
    return float(np.nanmean(wins)) if np.isfinite(wins).any() else float("nan")


def win_rate_intervals(
    candidates: FloatArray,
    reference: FloatArray,
    *,
    higher_is_better: bool,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Interval, ...]:
    r"""The shares of :func:`win_rate` with their intervals, clustered by prompt.

    With $w_p$ pairs won of the $n_p$ that a prompt has, the share $\hat w = \sum_p w_p / \sum_p n_p$ is the
    mean of $z_p = \hat w + (w_p - \hat w n_p) / \bar n$, whose symmetric studentised bootstrap over prompts
    gives the interval, cut at 0 and 1. Where every pair of all $P$ prompts is won, resamples know no spread:
    the lower end is then $((1 - \mathrm{level}) / 2)^{1/P}$, below which so many prompts without a loss would
    be rarer than that; likewise where every pair is lost.

    Args:
        candidates: Values, shape (candidates, prompts, images), ``NaN`` where missing.
        reference: Shape (prompts, images).
        higher_is_better: Which of two values wins.
        level: Confidence level.
        resamples: Bootstrap resamples.
        seed: Seed of the draws.

    Returns:
        One a candidate, its `n` the number of prompts with a pair; ``NaN`` without a common cell.

    Source:
        Cochran, Sampling Techniques (1977), section 2.11, for the ratio; Clopper & Pearson, Biometrika 26
        (1934), 404-413, for the ends at 0 and 1.
    """
    wins = _wins(candidates, reference, higher_is_better=higher_is_better)
    pairs = (~np.isnan(wins)).sum(axis=2).astype(np.float64)
    pairs[pairs == 0] = np.nan
    won = np.nansum(wins, axis=2)
    shares = np.array([win_rate(c, reference, higher_is_better=higher_is_better) for c in candidates])
    weight = np.nansum(pairs, axis=1) / np.maximum((~np.isnan(pairs)).sum(axis=1), 1)
    z = shares[:, None] + (won - shares[:, None] * pairs) / weight[:, None]
    found = []
    for share, interval in zip(
        shares, mean_intervals(z.T, level=level, resamples=resamples, seed=seed), strict=True
    ):
        # To the bit what `win_rate` gives; its sum over z has another rounding.
        known = replace(interval, value=float(share))
        if share in (0.0, 1.0):
            least = float(((1 - level) / 2) ** (1 / interval.n))
            lo, hi = (0.0, 1 - least) if share == 0 else (least, 1.0)
            known = replace(known, lo=lo, hi=hi)
        found.append(known.within((0.0, 1.0)))
    return tuple(found)


def _wins(candidate: FloatArray, reference: FloatArray, *, higher_is_better: bool) -> FloatArray:
    """1 for a pair that is won, a half for a tie, 0 for one that is lost, ``NaN`` for one with a gap."""
    lead = np.sign(candidate - reference) * (1.0 if higher_is_better else -1.0)
    wins: FloatArray = (lead + 1) / 2
    return wins
