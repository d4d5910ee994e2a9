"""Share of pairs that a candidate wins."""

import numpy as np

from benchmark.stats.arrays import FloatArray


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
    difference = (candidate - reference)[~np.isnan(candidate - reference)]
    if difference.size == 0:
        return float("nan")
    wins = difference > 0 if higher_is_better else difference < 0
    return float(np.mean(wins + 0.5 * (difference == 0)))
