"""Which pairs to make of K images of one prompt."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def ranked_pairs(scores: ArrayLike) -> list[tuple[int, int]]:
    """All pairs of K images, the better one first, in the order they should be used.

    Best against worst, second best against second worst and so on come first: no image is used twice
    and the differences are large. Then those further apart in rank.

    Args:
        scores: K numbers; greater is better. Equal ones keep their order.

    Example:
        >>> ranked_pairs([0.1, 0.9, 0.5])
        [(1, 0), (1, 2), (2, 0)]
    """
    order: list[int] = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable").tolist()
    k = len(order)
    folded = [(i, k - 1 - i) for i in range(k // 2)]
    others = [(i, i + gap) for gap in range(k - 1, 0, -1) for i in range(k - gap)]
    return [(order[i], order[j]) for i, j in dict.fromkeys([*folded, *others])]


def mean_ranks(scores: Sequence[Sequence[float]]) -> list[float]:
    """The mean over scorers of each image's rank, from 1 for the worst; equal scores share their ranks.

    Ranks, because scorers have no common unit.

    Args:
        scores: For each scorer K numbers; greater is better.

    Example:
        >>> mean_ranks([[0.2, 0.1, 0.3], [20.0, 20.0, 10.0]])
        [2.25, 1.75, 2.0]
    """
    table = np.asarray(scores, dtype=np.float64)
    below = (table[:, None, :] < table[:, :, None]).sum(2)
    equal = (table[:, None, :] == table[:, :, None]).sum(2)
    found: list[float] = (below + (equal + 1) / 2).mean(0).tolist()
    return found
