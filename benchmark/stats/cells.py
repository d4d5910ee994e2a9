"""From cells (prompt, image) to one number a prompt."""

import numpy as np

from benchmark.stats.arrays import FloatArray


def prompt_means(cells: FloatArray) -> FloatArray:
    r"""Mean over the images that a prompt has.

    $\bar y_p = \frac{1}{|K_p|} \sum_{k \in K_p} y_{pk}$; every prompt then weighs the same, and a
    prompt without any image stays a gap.

    Args:
        cells: Values, shape (..., prompts, images), ``NaN`` where missing.

    Returns:
        Shape (..., prompts).
    """
    present = ~np.isnan(cells)
    count = present.sum(axis=-1)
    total = np.where(present, cells, 0.0).sum(axis=-1)
    means: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means


def paired_differences(candidate: FloatArray, reference: FloatArray) -> FloatArray:
    r"""Per-prompt mean of candidate minus reference on the cells that both have.

    $d_p = \frac{1}{|K_p|} \sum_{k \in K_p} (y_{pk} - y^{\mathrm{ref}}_{pk})$ with $K_p$ the images
    present in both.

    Args:
        candidate: Shape (..., prompts, images).
        reference: Broadcastable to the same shape.

    Returns:
        Shape (..., prompts); ``NaN`` where no cell is common.
    """
    return prompt_means(candidate - reference)
