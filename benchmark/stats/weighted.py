r"""Means over images that weigh unlike, such as those of a closed-form optimum; pure numpy."""

import numpy as np

from benchmark.stats.arrays import FloatArray


def weighted_means(weights: FloatArray, values: FloatArray) -> FloatArray:
    r"""$\sum_i u_i v_i / \sum_i u_i$ over the images that have a value.

    Args:
        weights: $u$, not negative, shape (..., prompts, images).
        values: $v$, shape (prompts, images), ``NaN`` where an image has none.

    Returns:
        Shape (..., prompts); ``NaN`` where no image with a value has weight.
    """
    present = ~np.isnan(values)
    total = np.einsum("...pi,pi->...p", weights, np.where(present, values, 0.0))
    return _ratio(total, np.einsum("...pi,pi->...p", weights, present.astype(np.float64)))


def weighted_pair_means(weights: FloatArray, distances: FloatArray) -> FloatArray:
    r"""$\sum_{i \ne j} u_i u_j d_{ij} / \sum_{i \ne j} u_i u_j$ over the pairs that have a distance.

    With equal weights it is the mean over pairs, which is unbiased at any number of images.

    Args:
        weights: $u$, not negative, shape (..., prompts, images).
        distances: $d$, shape (prompts, images, images), ``NaN`` for a pair that is not counted.

    Returns:
        Shape (..., prompts); ``NaN`` where no pair has weight.
    """
    present = ~np.isnan(distances)
    present[:, np.eye(distances.shape[-1], dtype=bool)] = False
    return _ratio(
        _forms(weights, np.where(present, distances, 0.0)), _forms(weights, present.astype(np.float64))
    )


def effective_shares(weights: FloatArray, n: FloatArray) -> FloatArray:
    r"""The effective sample size $(\sum u)^2 / \sum u^2$ as a share of the images.

    Args:
        weights: $u$, shape (..., prompts, images).
        n: Images of each prompt, shape (prompts,).

    Returns:
        Shape (..., prompts), from 1 / n to 1; ``NaN`` for a prompt without any weight.

    Source:
        Kish, Survey Sampling (1965), section 11.7.
    """
    return _ratio(weights.sum(axis=-1) ** 2, n * (weights**2).sum(axis=-1))


def mean_of_known(values: FloatArray) -> FloatArray:
    """The mean over the first axis of what is not ``NaN``; ``NaN`` where nothing is known."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def _forms(weights: FloatArray, matrices: FloatArray) -> FloatArray:
    """U' M u for every prompt's matrix."""
    moved = np.moveaxis(weights, -2, 0)  # prompts first: one product of matrices for each
    flat = moved.reshape(moved.shape[0], -1, moved.shape[-1])
    forms = ((flat @ matrices) * flat).sum(axis=-1)
    back: FloatArray = np.moveaxis(forms.reshape(moved.shape[:-1]), 0, -1)
    return back


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return ratio
