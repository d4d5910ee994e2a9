"""Precision, recall, density and coverage by nearest neighbours, in float64.

Sources: Kynkaanniemi et al., Improved Precision and Recall Metric, NeurIPS 2019; Naeem et al., Reliable
Fidelity and Diversity Metrics, ICML 2020. Balls are open, and an image is not its own neighbour, as in the
prdc package.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from benchmark.scorers.engine.arrays import Matrix

CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Distances:
    """Of all images of a set, computed once for the four numbers; 8 n (n + m) bytes.

    Attributes:
        between: To each other, (n, n), infinite on the diagonal.
        to_reference: (m, n).
    """

    between: Float64[Tensor, "n n"]
    to_reference: Float64[Tensor, "m n"]


class Neighbours:
    """The reference's balls, and the four numbers of any part of a set.

    Args:
        reference: Features, (m, d).
        k: A ball reaches to the k-th nearest neighbour.

    Raises:
        ValueError: if the reference has no k-th neighbour.
    """

    def __init__(self, reference: Matrix, k: int = 5) -> None:
        if len(reference) <= k:
            raise ValueError(f"{len(reference)} reference images have no {k}th neighbour")
        self._reference, self.k = _double(reference), k
        radii = []
        for start in range(0, len(reference), CHUNK):
            rows = _distances(self._reference[start : start + CHUNK], self._reference)
            _own_out(rows, start)
            radii.append(_kth(rows, k))
        self._radii = torch.cat(radii)

    def distances(self, features: Matrix) -> Distances:
        """One pass over all pairs."""
        x = _double(features)
        between = _distances(x, x)
        _own_out(between, 0)
        return Distances(between, _distances(self._reference, x))

    def precision(self, found: Distances, index: "np.ndarray") -> float:
        """Share of the images that lie in the ball of some reference image."""
        return float(self._inside(found, index).any(0).double().mean())

    def density(self, found: Distances, index: "np.ndarray") -> float:
        """Reference balls around an image on average, in units of k."""
        return float(self._inside(found, index).sum(0).double().mean()) / self.k

    def coverage(self, found: Distances, index: "np.ndarray") -> float:
        """Share of the reference images whose ball holds an image."""
        return float(self._inside(found, index).any(1).double().mean())

    def recall(self, found: Distances, index: "np.ndarray") -> float:
        """Share of the reference images that lie in the ball of some image."""
        part = torch.from_numpy(np.asarray(index))
        radii = _kth(found.between[part][:, part], self.k)
        return float((found.to_reference[:, part] < radii).any(1).double().mean())

    def _inside(self, found: Distances, index: "np.ndarray") -> Tensor:
        part = torch.from_numpy(np.asarray(index))
        return found.to_reference[:, part] < self._radii[:, None]


def _kth(rows: Tensor, k: int) -> Tensor:
    return torch.kthvalue(rows, k, dim=1).values


def _own_out(rows: Tensor, start: int) -> None:
    rows[torch.arange(len(rows)), torch.arange(start, start + len(rows))] = torch.inf


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean; what is below rounding is zero, so that copies of an image are at no distance."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1)[None]
    apart = squares - 2 * x @ y.T
    apart[apart < 1e-12 * squares] = 0
    return apart.sqrt()


def _double(features: Matrix) -> Tensor:
    return torch.from_numpy(np.asarray(features, np.float64))
