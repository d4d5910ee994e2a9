"""The bootstrap over prompts, and its t statistics."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.arrays import RESAMPLES, FloatArray

_BLOCK_CELLS = 4_000_000
_RELATIVE_ZERO = 1e-12


def resample_counts(n: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each of n prompts is drawn, in blocks of resamples.

    Args:
        n: Number of prompts.
        resamples: Number of resamples.
        seed: Seed of the draws; the same (n, seed) gives the same prompts to every caller, which
            is what keeps comparisons of several checkpoints paired.

    Yields:
        Counts of shape (block, n); every row sums to n.
    """
    counts = _drawn(n, resamples, seed)
    block = max(1, _BLOCK_CELLS // n)
    for start in range(0, resamples, block):
        yield counts[start : start + block].astype(np.float64)


@lru_cache(maxsize=1)
def _drawn(n: int, resamples: int, seed: int) -> NDArray[Any]:
    """All counts in the smallest type that holds them; kept, since every scorer asks for the same draws."""
    generator = np.random.default_rng(seed)
    counts = np.empty((resamples, n), dtype=np.min_scalar_type(n))
    block = max(1, _BLOCK_CELLS // n)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = generator.integers(0, n, size=(size, n))
        drawn += n * np.arange(size)[:, None]
        counts[start : start + size] = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
    counts.flags.writeable = False
    return counts


def standard_errors(x: FloatArray) -> FloatArray:
    r"""Standard error of each column's mean, $\hat\sigma / \sqrt n$, exactly 0 for a constant.

    Args:
        x: One row a prompt, shape (n, columns), n at least 2.

    Returns:
        Shape (columns,).
    """
    spread = np.ptp(x, axis=0) > _RELATIVE_ZERO * np.abs(x).max(axis=0)
    errors: FloatArray = np.where(spread, x.std(axis=0, ddof=1) / np.sqrt(x.shape[0]), 0.0)
    return errors


def bootstrap_t(x: FloatArray, *, resamples: int = RESAMPLES, seed: int = 0) -> FloatArray:
    r"""Studentised bootstrap statistics of every column's mean.

    $t^* = (\bar x^* - \bar x) / (\hat\sigma^* / \sqrt n)$, prompts drawn with replacement; the same
    draw serves all columns. A resample without spread has $t^* = 0$ if its mean is the sample's
    and $\pm\infty$ otherwise: it is counted, not dropped.

    Args:
        x: One row a prompt, without gaps, shape (n, columns), n at least 2.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Shape (resamples, columns).

    Source:
        Hall, The Bootstrap and Edgeworth Expansion (1992), section 3.5; Davison & Hinkley,
        Bootstrap Methods and their Application (1997), equation 2.11.
    """
    n = x.shape[0]
    centred = x - x.mean(axis=0)
    zero = _RELATIVE_ZERO * (np.abs(x).max(axis=0) + np.finfo(np.float64).tiny)
    squares = centred**2
    blocks = []
    for counts in resample_counts(n, resamples, seed):
        mean = counts @ centred / n
        variance = counts @ squares / n - mean**2
        error = np.sqrt(np.maximum(variance, 0.0) / (n - 1))
        moved = np.abs(mean) > zero
        flat = error <= zero
        t = np.where(moved, np.copysign(np.inf, mean), 0.0)
        blocks.append(np.divide(mean, error, out=t, where=~flat))
    return np.concatenate(blocks)


def upper_quantile(t: FloatArray, level: float) -> FloatArray:
    r"""The quantile of resampled statistics that an observed one exceeds with probability 1 - level.

    The $\lceil \mathrm{level} (B + 1) \rceil$-th smallest of B, at most the largest: the observed statistic
    is one more of the same kind, so that coverage does not depend on B.

    Args:
        t: Shape (resamples, columns); infinities are allowed.
        level: Between 0 and 1.

    Returns:
        Shape (columns,).

    Source:
        Davison & Hinkley, Bootstrap Methods and their Application (1997), section 2.4.
    """
    resamples = t.shape[0]
    # Without the slack 0.95 x 20 would be a little above 19.
    rank = min(int(np.ceil(level * (resamples + 1) - _RELATIVE_ZERO)), resamples)
    quantile: FloatArray = np.partition(t, rank - 1, axis=0)[rank - 1]
    return quantile
