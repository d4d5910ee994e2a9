"""Cells (prompt, image): their means by prompt, their spread, and what missing ones may do."""

import math

import numpy as np

from benchmark.stats.arrays import BoolArray, FloatArray


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
    columns = (np.ascontiguousarray(column) for column in x.reshape(x.shape[0], math.prod(x.shape[1:])).T)
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


MAX_SHARE = 0.01
"""Above this share of missing cells a checkpoint is not ranked."""


def missing_share(failed: BoolArray) -> FloatArray:
    """Share of cells that a failure left without a value.

    Args:
        failed: Shape (..., prompts, images).

    Returns:
        Shape (...).
    """
    share: FloatArray = failed.mean(axis=(-2, -1)) if failed.size else np.zeros(failed.shape[:-2])
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


def within_prompt_sd(cells: FloatArray) -> float:
    r"""Standard deviation of one checkpoint's values between the images of a prompt.

    $\sqrt{\sum_p \sum_k (y_{pk} - \bar y_p)^2 / \sum_p (K_p - 1)}$: how far one image of a prompt is
    from the next, free of how hard the prompts are. Where no prompt has two values (scorers of unit
    prompt), the standard deviation between prompts takes its place.

    Args:
        cells: Values, shape (prompts, images), ``NaN`` where missing.

    Returns:
        In the scorer's units; ``NaN`` with fewer than two values.
    """
    means = prompt_means(cells)
    present = ~np.isnan(cells)
    freedom = int(np.maximum(present.sum(axis=1) - 1, 0).sum())
    if freedom:
        away = np.where(present, cells - means[:, None], 0.0)
        return float(np.sqrt((away**2).sum() / freedom))
    known = means[~np.isnan(means)]
    return float(known.std(ddof=1)) if known.size > 1 else float("nan")
