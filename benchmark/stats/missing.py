"""What missing cells may do to an order."""

import numpy as np

from benchmark.stats.arrays import BoolArray, FloatArray
from benchmark.stats.cells import paired_differences, prompt_means

MAX_SHARE = 0.01
"""Above this share of missing cells a checkpoint is not ranked."""


def missing_share(failed: BoolArray) -> FloatArray:
    """Share of cells that a failure left without a value.

    Args:
        failed: Shape (..., prompts, images).

    Returns:
        Shape (...).
    """
    share: FloatArray = failed.mean(axis=(-2, -1))
    return share


def order_is_fragile(cells: FloatArray) -> BoolArray:
    """Whether the gaps, filled at worst for one and at best for another, would change their order.

    The worst and the best are the extremes that this scorer gave to any cell here.

    Args:
        cells: Values of all ranked checkpoints, shape (checkpoints, prompts, images).

    Returns:
        Shape (checkpoints,): True where the order against some other checkpoint could turn.
    """
    fragile = np.zeros(cells.shape[0], dtype=np.bool_)
    if not np.isnan(cells).any() or np.isnan(cells).all():
        return fragile
    low = _filled_means(cells, float(np.nanmin(cells)))
    high = _filled_means(cells, float(np.nanmax(cells)))
    for i in range(cells.shape[0]):
        differences = paired_differences(cells[i], cells)
        known = ~np.isnan(differences)
        seen = np.where(known, differences, 0.0).sum(axis=1)
        turns = ((seen > 0) & (low[i] < high)) | ((seen < 0) & (high[i] > low))
        fragile[i] = bool(turns.any())
    return fragile


def _filled_means(cells: FloatArray, value: float) -> FloatArray:
    means: FloatArray = prompt_means(np.where(np.isnan(cells), value, cells)).mean(axis=-1)
    return means
