"""Means and paired differences with prompt-clustered intervals."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.resampling import bootstrap_t, standard_errors, upper_quantile


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        value: The point estimate.
        lo: Lower end; ``NaN`` when fewer than two prompts leave it undefined.
        hi: Upper end.
        se: Standard error.
        n: Number of prompts (or jackknife groups) behind it.
    """

    value: float
    lo: float
    hi: float
    se: float
    n: int

    def within(self, bounds: tuple[float | None, float | None]) -> "Interval":
        """The interval without what no mean can be: its ends moved to the bounds they stick out of.

        Coverage stays as it is, because the mean lies within the bounds too.

        Args:
            bounds: The least and the greatest value; None where there is no bound.

        Example:
            >>> Interval(0.99, 0.97, 1.01, 0.01, 96).within((0.0, 1.0))
            Interval(value=0.99, lo=0.97, hi=1.0, se=0.01, n=96)
        """
        least, greatest = bounds
        # Never past the estimate itself, whose last digit may be beyond a bound; NaN stays NaN.
        lo = self.lo if least is None or not self.lo < least else min(least, self.value)
        hi = self.hi if greatest is None or not self.hi > greatest else max(greatest, self.value)
        return replace(self, lo=lo, hi=hi)


def mean_intervals(
    x: FloatArray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Interval, ...]:
    r"""Mean of every column with its symmetric studentised bootstrap interval.

    $\bar x \pm q \, \hat\sigma / \sqrt n$ with $q$ the `level` quantile of $|t^*|$ over resamples of
    prompts. Where $q$ is infinite (too many resamples without spread: nearly constant data or very
    few prompts), Student's quantile with $n - 1$ degrees of freedom takes its place.

    Args:
        x: One row a prompt, shape (prompts, columns); ``NaN`` is a gap, left out column by column.
        level: Confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        One interval a column.

    Source:
        Hall, On symmetric bootstrap confidence intervals, JRSS B 50 (1988), 35-45.
    """
    present = ~np.isnan(x)
    patterns: dict[bytes, list[int]] = {}
    for column in range(x.shape[1]):
        patterns.setdefault(present[:, column].tobytes(), []).append(column)
    found: dict[int, Interval] = {}
    for columns in patterns.values():
        complete = x[present[:, columns[0]]][:, columns]
        intervals = _complete_intervals(complete, level, resamples, seed)
        found.update(zip(columns, intervals, strict=True))
    return tuple(found[column] for column in range(x.shape[1]))


def _complete_intervals(x: FloatArray, level: float, resamples: int, seed: int) -> list[Interval]:
    n = x.shape[0]
    if n < 2:
        nan = float("nan")
        means = x[0] if n else np.full(x.shape[1], nan)
        return [Interval(float(mean), nan, nan, nan, n) for mean in means]
    q = upper_quantile(np.abs(bootstrap_t(x, resamples=resamples, seed=seed)), level)
    q = np.where(np.isfinite(q), q, stdtrit(n - 1, (1 + level) / 2))
    mean, se = x.mean(axis=0), standard_errors(x)
    return [
        Interval(float(m), float(m - h), float(m + h), float(s), n)
        for m, h, s in zip(mean, q * se, se, strict=True)
    ]
