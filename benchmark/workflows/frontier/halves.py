r"""A pool cut into halves, each with an optimum of its own, so that two images of a pair are independent.

Weights from one pool and pairs within it do not go together: the optimum leans on the best images that the
pool happens to have, a pair of an image with itself has to be left out, and the more the weight gathers the
more varied the pairs that are left look. With halves A and B, each weighed as if it were the whole pool,

$$ \frac{\sum_{i \in A, j \in B} u_i u_j d_{ij}}{\sum_{i \in A, j \in B} u_i u_j} $$

is without bias for two draws of a sampler that anybody can run: make n / 2 images, keep one by its weight.
"""

from typing import TYPE_CHECKING

import numpy as np

from benchmark.stats.arrays import BoolArray, FloatArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainers.divergences import Divergence


def first_halves(there: BoolArray) -> "tuple[BoolArray, ...]":
    """Two ways to cut the images of each prompt: every other one, and the front ones.

    Args:
        there: Which images are in the pool, shape (prompts, images).

    Returns:
        Which are in the first half, each of that shape; it has one more where the number is odd.
    """
    rank = np.cumsum(there, axis=1) - 1
    front = rank < (there.sum(axis=1, keepdims=True) + 1) // 2
    return there & (rank % 2 == 0), there & front


def across(first: BoolArray, there: BoolArray) -> BoolArray:
    """Which pairs have an image in each half, shape (prompts, images, images)."""
    second = there & ~first
    one_way = first[:, :, None] & second[:, None]
    pairs: BoolArray = one_way | one_way.transpose(0, 2, 1)
    return pairs


def weights_of_halves(
    rewards: FloatArray, betas: "Sequence[float]", divergence: "Divergence", first: BoolArray
) -> FloatArray:
    """The optimal weights of each half for itself, at the places of its images in the pool.

    Args:
        rewards: Larger is better, shape (prompts, images), ``NaN`` for an image without one.
        betas: In units of the reward.
        divergence: Under which.
        first: Which images are in the first half.

    Returns:
        Shape (betas, prompts, images), of mean 1 over each half.
    """
    import torch

    from trainers.divergences.optimum import optimal_weights

    there = ~np.isnan(rewards)
    members = np.stack([first, there & ~first])
    # A half's own images in front, so that the search is over half a pool.
    order = np.argsort(~members, axis=-1, kind="stable")[..., : max(1, int(members.sum(axis=-1).max()))]
    own = np.take_along_axis(np.where(members, rewards, np.nan), order, axis=-1)
    found = optimal_weights(
        torch.from_numpy(own.reshape(-1, own.shape[-1])),
        torch.tensor(betas, dtype=torch.float64),
        divergence,
    )
    of_halves = found.numpy().reshape(len(betas), *own.shape)
    weights = np.zeros((len(betas), *rewards.shape))
    for half in (0, 1):
        places = np.broadcast_to(order[half], of_halves[:, half].shape)
        there_now = np.take_along_axis(weights, places, axis=-1)
        np.put_along_axis(weights, places, there_now + of_halves[:, half], axis=-1)
    return weights
