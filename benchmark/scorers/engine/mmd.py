r"""Unbiased squared maximum mean discrepancy to a reference, in float64.

$\frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)}
- \frac{2 \sum_{i, j} k(x_i, y_j)}{n m}$, over all images: no subsets are drawn, so it
is the same number every time, the mean over all subsets of which the usual estimate draws some.
Source: Gretton et al., A Kernel Two-Sample Test, JMLR 2012, Eq. 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmark.scorers.engine.arrays import Matrix

Kernel: TypeAlias = Callable[[Tensor, Tensor], Tensor]

CHUNK = 1024
"""Rows of a kernel matrix that are in memory at a time."""


def polynomial(x: Tensor, y: Tensor) -> Tensor:
    r"""$(x^\top y / d + 1)^3$; Binkowski et al., Demystifying MMD GANs, ICLR 2018."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def gaussian(x: Tensor, y: Tensor, sigma: float = 10.0) -> Tensor:
    r"""$\exp(-\|x - y\|^2 / 2 \sigma^2)$; Jayasumana et al., Rethinking FID, CVPR 2024."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1)[None] - 2 * x @ y.T
    return torch.exp(-squares / (2 * sigma**2))


@dataclass(frozen=True, eq=False)
class Sums:
    r"""What a set's discrepancy is made of, image by image.

    Attributes:
        features: (n, d).
        within: $\sum_{j \ne i} k(x_i, x_j)$, (n,).
        across: $\frac1m \sum_j k(x_i, y_j)$, (n,).
    """

    features: Tensor
    within: Tensor
    across: Tensor


class MmdTo:
    """The discrepancy of features, or of any part of them, to a fixed reference.

    Args:
        reference: (m, d), m at least 2.
        kernel: Of two sets of features.
    """

    def __init__(self, reference: Matrix, kernel: Kernel) -> None:
        self._kernel = kernel
        self._reference = _double(reference)
        m = len(reference)
        self._own = float(_within(self._reference, kernel).sum()) / (m * (m - 1))

    def sums(self, features: Matrix) -> Sums:
        """One pass over all pairs."""
        x = _double(features)
        across = [self._kernel(part, self._reference).mean(1) for part in x.split(CHUNK)]
        return Sums(x, _within(x, self._kernel), torch.cat(across))

    def value(self, sums: Sums, index: "np.ndarray") -> float:
        r"""The discrepancy of the images at these positions, at least two of them.

        Sums over few images are taken away from those over all: what a jackknife leaves out is little.
        """
        inside = torch.zeros(len(sums.features), dtype=torch.bool)
        inside[torch.from_numpy(np.asarray(index))] = True
        n = len(index)
        if 2 * n > len(inside):
            out = _within(sums.features[~inside], self._kernel).sum() - 2 * sums.within[~inside].sum()
            pairs = sums.within.sum() + out
        else:
            pairs = _within(sums.features[inside], self._kernel).sum()
        return float(pairs / (n * (n - 1)) + self._own - 2 * sums.across[inside].mean())


def _within(x: Tensor, kernel: Kernel) -> Tensor:
    """Sum of each row of the kernel matrix without its diagonal."""
    sums = []
    for start in range(0, len(x), CHUNK):
        rows = kernel(x[start : start + CHUNK], x)
        rows[torch.arange(len(rows)), torch.arange(start, start + len(rows))] = 0
        sums.append(rows.sum(1))
    return torch.cat(sums) if sums else x.new_zeros(0)


def _double(features: Matrix) -> Tensor:
    return torch.from_numpy(np.asarray(features, np.float64))
