r"""Distances between sets of features, in float64: Frechet, maximum mean discrepancy, nearest neighbours.

Each keeps sums over all samples, from which the number of any part is cheap: a jackknife asks for many.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

Matrix: TypeAlias = Float[np.ndarray, "n d"]
Vector: TypeAlias = Float64[Tensor, " d"]
Square: TypeAlias = Float64[Tensor, "d d"]
Kernel: TypeAlias = Callable[[Tensor, Tensor], Tensor]

EPSILON = float(np.finfo(np.float64).eps)

CHUNK = 1024
"""Rows of a matrix over pairs that are in memory at a time."""


def _double(features: Matrix) -> Tensor:
    return torch.from_numpy(np.asarray(features, np.float64))


@dataclass(frozen=True, eq=False)
class Gaussian:
    r"""Mean and covariance.

    Attributes:
        mean: $\mu$, (d,).
        covariance: $\Sigma$ with the divisor n - 1, (d, d).
        n: Samples behind it; None if that is not known.
    """

    mean: Vector
    covariance: Square
    n: int | None = None

    @classmethod
    def of(cls, features: Matrix) -> "Gaussian":
        """Of features (n, d)."""
        return Moments(features).gaussian(np.arange(len(features)))

    @cached_property
    def root(self) -> Square | None:
        r"""$L$ with $L L^\top = \Sigma$, lower triangular; None where $\Sigma$ is singular to rounding."""
        factor, failed = torch.linalg.cholesky_ex(self.covariance)
        pivots = factor.diagonal() ** 2
        limit = len(pivots) * EPSILON * self.covariance.diagonal().max()
        return None if int(failed) or bool(pivots.min() <= limit) else factor

    @cached_property
    def thin_root(self) -> Float64[Tensor, "d r"]:
        r"""$F$ with $F F^\top = \Sigma$ and as many columns as $\Sigma$ has rank."""
        values, vectors = torch.linalg.eigh(self.covariance)
        size = len(values)
        kept = values > size * EPSILON * values[-1]
        if self.n is not None and self.n <= size:
            # So few samples span n - 1 dimensions; what seems to be in the others is rounding.
            kept &= torch.arange(size) > size - self.n
        root: Tensor = vectors[:, kept] * values[kept].sqrt()
        return root


class Moments:
    """Sums over samples from which the Gaussian of any part of them is cheap: what is left out is taken away.

    Args:
        features: (n, d); not changed afterwards.
    """

    def __init__(self, features: Matrix) -> None:
        x = _double(features)
        self._centre = x.mean(0)
        # About the mean of all, nothing is lost to cancellation.
        self._apart = x - self._centre
        self._scatter = self._apart.T @ self._apart

    def __len__(self) -> int:
        """The number of samples."""
        return len(self._apart)

    def gaussian(self, index: "np.ndarray") -> Gaussian:
        """Of the samples at these positions, without repeats.

        Raises:
            ValueError: for fewer than two samples.
        """
        n = len(index)
        if n < 2:
            raise ValueError("a covariance needs two samples")
        inside = torch.zeros(len(self._apart), dtype=torch.bool)
        inside[torch.from_numpy(np.asarray(index))] = True
        fewer = self._apart[inside if 2 * n <= len(inside) else ~inside]
        sums, scatter = fewer.sum(0), fewer.T @ fewer
        if 2 * n > len(inside):
            sums, scatter = -sums, self._scatter - scatter
        shift = sums / n
        covariance = (scatter - n * torch.outer(shift, shift)) / (n - 1)
        return Gaussian(self._centre + shift, covariance, n)


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    r"""The Frechet distance of Gaussians; symmetric, and never below zero.

    $\|\mu_1 - \mu_2\|^2 + \mathrm{tr}(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2})$.

    With $\Sigma_2 = L L^\top$ the product has the eigenvalues of the symmetric $L^\top \Sigma_1 L$: no root
    of an unsymmetric matrix is needed. Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule,
    NeurIPS 2017, Eq. 6.

    Where both covariances are regular, a Cholesky factor and eigenvalues are enough. Where one is singular,
    rounding would not stay small under the root (1e-16 becomes 1e-8, for every missing dimension): then
    singular values of the factors, which keep their precision.
    """
    traces = one.covariance.trace() + other.covariance.trace()
    apart = (one.mean - other.mean).square().sum()
    return max(0.0, float(apart + traces - 2 * _trace_of_root(one, other)))


def _trace_of_root(one: Gaussian, other: Gaussian) -> Tensor:
    if one.root is None or other.root is None:
        singular: Tensor = torch.linalg.svdvals(one.thin_root.T @ other.thin_root)
        return singular.sum()
    squared: Tensor = torch.linalg.eigvalsh(other.root.T @ one.covariance @ other.root)
    return squared.clamp(min=0).sqrt().sum()


def polynomial(x: Tensor, y: Tensor) -> Tensor:
    r"""$(x^\top y / d + 1)^3$; Binkowski et al., Demystifying MMD GANs, ICLR 2018."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def gaussian(x: Tensor, y: Tensor, sigma: float = 10.0) -> Tensor:
    r"""$\exp(-\|x - y\|^2 / 2 \sigma^2)$; Jayasumana et al., Rethinking FID, CVPR 2024."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1)[None] - 2 * x @ y.T
    return torch.exp(-squares / (2 * sigma**2))


@dataclass(frozen=True, eq=False)
class Sums:
    r"""The sums of a set's discrepancy, image by image.

    Attributes:
        features: (n, d).
        within: $\sum_{j \ne i} k(x_i, x_j)$, (n,).
        across: $\frac1m \sum_j k(x_i, y_j)$, (n,).
    """

    features: Tensor
    within: Tensor
    across: Tensor


class MmdTo:
    r"""The unbiased squared maximum mean discrepancy of features, or of a part of them, to a fixed reference.

    $\frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)}
    - \frac{2 \sum_{i, j} k(x_i, y_j)}{n m}$, over all images: no subsets are drawn, so it is the same number
    every time, the mean over all subsets of which the usual estimate draws some.
    Source: Gretton et al., A Kernel Two-Sample Test, JMLR 2012, Eq. 3.

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
    """Precision, recall, density and coverage of any part of a set, by the reference's nearest neighbours.

    Sources: Kynkaanniemi et al., Improved Precision and Recall Metric, NeurIPS 2019; Naeem et al., Reliable
    Fidelity and Diversity Metrics, ICML 2020. Balls are open, and an image is not its own neighbour, as in
    the prdc package.

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
