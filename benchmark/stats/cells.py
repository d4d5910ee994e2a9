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


def own_means(x: FloatArray) -> FloatArray:
    """Mean of every column over the prompts that it has.

    To the bit what :func:`benchmark.stats.intervals.mean_intervals` gives, which a table shows.

    Args:
        x: One row a prompt, shape (prompts, ...), ``NaN`` where there is no number.

    Returns:
        Shape (...); ``NaN`` for a column without any number.
    """
    columns = (np.ascontiguousarray(column) for column in x.reshape(x.shape[0], -1).T)
    present = (column[~np.isnan(column)] for column in columns)
    means: FloatArray = np.array([column.mean() if column.size else np.nan for column in present])
    return means.reshape(x.shape[1:])


def over_own_prompts(x: FloatArray) -> FloatArray:
    r"""Values without gaps whose columns have the mean and the standard error of their own prompts.

    $z_p = \bar y + \sqrt{P (P - 1) / (n (n - 1))} \, (y_p - \bar y)$ for the $n$ of $P$ prompts that a column
    has, $\bar y$ for the others: a mean over $n$ prompts as a mean over all of them, to first order. Under
    one resampling of prompts columns then move together as far as they share prompts, each as far as its own
    $n$ lets it. A column without a gap stays as it is, to the bit; one of a single number does not move.

    Args:
        x: One row a prompt, shape (prompts, ...), ``NaN`` where there is no number.

    Returns:
        Same shape; ``NaN`` throughout for a column without any number.

    Source:
        Cochran, Sampling Techniques (1977), sections 2.11 and 2.13: the mean of a domain is a ratio, and this
        its linearisation.
    """
    present = ~np.isnan(x)
    if present.all():
        return x
    n, P = present.sum(axis=0), x.shape[0]
    means = own_means(x)
    weight = np.sqrt(P * (P - 1) / np.maximum(n * (n - 1), 1)) * (n > 1)
    moved = np.where(present, means + weight * (x - means), means)
    z: FloatArray = np.where(n == P, x, moved)
    return z
