"""p values: the sign-flip test of paired differences, and Holm's adjustment for several."""

import math

import numpy as np

from benchmark.stats.arrays import RESAMPLES, FloatArray

_BLOCK_CELLS = 4_000_000
_TIE_TOLERANCE = 1e-12


def flips_needed(family: int, alpha: float = 0.05) -> int:
    r"""Enough flips for Holm's smallest step: $m \ge 20 \cdot \mathrm{family} / \alpha$.

    Args:
        family: Number of hypotheses that are adjusted together.
        alpha: Level of the family.

    Returns:
        The number of flips, never below 10,000.
    """
    return max(RESAMPLES, math.ceil(20 * family / alpha))


def sign_flip_p(differences: FloatArray, *, flips: int = RESAMPLES, seed: int = 0) -> FloatArray:
    r"""Two-sided p value of "the differences are symmetric about 0", for every column.

    $p = (b + 1) / (m + 1)$, $b$ the number of the $m$ random sign vectors $\epsilon$ with
    $|\sum_p \epsilon_p d_p| \ge |\sum_p d_p|$. The $+1$ makes it valid, never 0, at any $m$.

    Args:
        differences: Per-prompt differences, shape (prompts, columns); ``NaN`` gaps take no part.
        flips: $m$.
        seed: Seed of the signs, the same for all columns.

    Returns:
        Shape (columns,); ``NaN`` for a column without any difference.

    Source:
        Phipson & Smyth, Permutation p-values should never be zero, SAGMB 9 (2010), article 39.
    """
    present = ~np.isnan(differences)
    d = np.where(present, differences, 0.0)
    observed = np.abs(d.sum(axis=0)) * (1 - _TIE_TOLERANCE)
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // max(1, d.shape[0]))
    exceeding = np.zeros(d.shape[1], dtype=np.int64)
    for start in range(0, flips, block):
        size = (min(block, flips - start), d.shape[0])
        signs = 2.0 * generator.integers(0, 2, size=size, dtype=np.int8) - 1.0
        exceeding += (np.abs(signs @ d) >= observed).sum(axis=0)
    p: FloatArray = np.where(present.any(axis=0), (exceeding + 1) / (flips + 1), np.nan)
    return p


def holm(p: FloatArray) -> FloatArray:
    r"""Holm-adjusted p values of one family.

    With $p_{(1)} \le \dots \le p_{(m)}$: $\tilde p_{(i)} = \max_{j \le i} \min(1, (m-j+1) p_{(j)})$.
    The family-wise error rate is controlled under any dependence.

    Args:
        p: Shape (m,); ``NaN`` marks a comparison that was not made and is not counted.

    Returns:
        Adjusted values in the order given.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6 (1979).
    """
    adjusted = np.full(p.shape, np.nan)
    made = np.flatnonzero(~np.isnan(p))
    order = made[np.argsort(p[made], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return adjusted
