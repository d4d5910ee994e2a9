"""One-sided bounds of a difference, and the p value of a drop."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from benchmark.stats.arrays import RESAMPLES, FloatArray
from benchmark.stats.resampling import bootstrap_t, standard_errors, upper_quantile
from benchmark.stats.training_runs import Difference

ALPHA = 0.05
"""Error of each one-sided bound."""


@dataclass(frozen=True)
class Bounds:
    """A difference, better = positive, with what it is at least and at most.

    Attributes:
        value: The difference.
        se: Its standard error.
        df: Degrees of freedom of the error.
        lower: Below the true difference with probability 1 - alpha.
        upper: Above it with probability 1 - alpha.
        p_drop: One-sided p value of "there is no drop"; below alpha where `upper` is below 0.
    """

    value: float
    se: float
    df: float
    lower: float
    upper: float
    p_drop: float


UNBOUNDED = Bounds(*[float("nan")] * 6)
"""Where nothing can be said."""


def prompt_bounds(
    differences: FloatArray, *, alpha: float = ALPHA, resamples: int = RESAMPLES, seed: int = 0
) -> Bounds:
    r"""Bounds of the mean of paired differences of two checkpoints, over prompts.

    $L = \bar d - q_{1-\alpha} \mathrm{se}$ and $U = \bar d - q_\alpha \mathrm{se}$ with $q$ the quantiles of
    the studentised bootstrap's $t^*$; $p = (b + 1) / (m + 1)$, $b$ the number of the $m$ resamples with
    $t^* \le \bar d / \mathrm{se}$. Where a quantile is infinite Student's takes its place.

    Args:
        differences: Per-prompt differences, better = positive, shape (prompts,); ``NaN`` gaps take no part.
        alpha: Error of each bound.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        The bounds; `UNBOUNDED` with fewer than two prompts.

    Source:
        Hall, Theoretical comparison of bootstrap confidence intervals, Ann. Stat. 16 (1988), 927-953.
    """
    d = differences[~np.isnan(differences)][:, None]
    n = d.shape[0]
    if n < 2:
        return UNBOUNDED
    value, se = float(d.mean()), float(standard_errors(d)[0])
    if se == 0:
        return t_bounds(Difference(value, se, n - 1.0), alpha=alpha)
    t = bootstrap_t(d, resamples=resamples, seed=seed)
    low, high = float(-upper_quantile(-t, 1 - alpha)[0]), float(upper_quantile(t, 1 - alpha)[0])
    student = float(stdtrit(n - 1, 1 - alpha))
    low, high = low if np.isfinite(low) else -student, high if np.isfinite(high) else student
    below = int((t[:, 0] <= value / se).sum())
    return Bounds(
        value, se, n - 1.0, value - high * se, value - low * se, (below + 1) / (resamples + 1)
    )  # fmt: skip


def t_bounds(difference: Difference, *, alpha: float = ALPHA) -> Bounds:
    r"""Bounds $\hat\theta \mp t_{\mathrm{df}, 1-\alpha} \, \mathrm{se}$.

    For methods over runs, and for set metrics.

    Args:
        difference: Better = positive; for a set metric its jackknife error and groups less one.
        alpha: Error of each bound.

    Returns:
        The bounds; ``NaN`` where the error is unknown.
    """
    value, se, df = difference.value, difference.se, difference.df
    half = float(stdtrit(df, 1 - alpha)) * se
    p = float(value >= 0) if se == 0 else float(stdtr(df, value / se))
    return Bounds(value, se, df, value - half, value + half, p)
