r"""Frechet distance of Gaussians, exact in float64.

$\|\mu_1 - \mu_2\|^2 + \mathrm{tr}(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2})$.

With $\Sigma_2 = L L^\top$ the product has the eigenvalues of the symmetric $L^\top \Sigma_1 L$: no root of
an unsymmetric matrix is needed. Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule,
NeurIPS 2017, Eq. 6.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from benchmark.scorers.engine.arrays import Matrix

Vector: TypeAlias = Float64[Tensor, " d"]
Square: TypeAlias = Float64[Tensor, "d d"]

EPSILON = float(np.finfo(np.float64).eps)


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
        x = torch.from_numpy(np.asarray(features, np.float64))
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
    """The distance; symmetric, and never below zero.

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
