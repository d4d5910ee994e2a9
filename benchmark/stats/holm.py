"""Holm's adjustment for several comparisons."""

import numpy as np

from benchmark.stats.arrays import FloatArray


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
