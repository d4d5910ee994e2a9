"""Diversity of embeddings, in float64."""

import numpy as np
from jaxtyping import Float

Embeddings = Float[np.ndarray, "n d"]


def mean_pair_distance(embeddings: Embeddings) -> float:
    r"""$\frac{1}{n(n-1)} \sum_{i \ne j} (1 - \cos(e_i, e_j))$, n at least 2.

    From 0, all alike, to n / (n - 1).
    """
    e, n = _unit(embeddings), len(embeddings)
    # All cosines add up to the squared length of the embeddings' sum; n are an image's with itself.
    cosines = float((e.sum(0) ** 2).sum()) - n
    return max(0.0, 1 - cosines / (n * (n - 1)))


def pair_distances(embeddings: Embeddings) -> Float[np.ndarray, "n n"]:
    r"""$1 - \cos(e_i, e_j)$ of any two, whose mean over $i \ne j$ is :func:`mean_pair_distance`."""
    e = _unit(embeddings)
    apart: np.ndarray = np.clip(1 - e @ e.T, 0.0, 2.0)
    return apart


def vendi(embeddings: Embeddings) -> float:
    r"""$\exp(-\sum_i \lambda_i \log \lambda_i)$ with the eigenvalues of $K/n$, $K_{ij} = \cos(e_i, e_j)$.

    From 1, all alike, to n, all at right angles.
    """
    e, n = _unit(embeddings), len(embeddings)
    # Besides zeros, which add nothing, e e' and e' e have the same eigenvalues: the smaller one will do.
    product = e @ e.T if n <= e.shape[1] else e.T @ e
    shares = np.linalg.eigvalsh(product / n)
    shares = shares[shares > 0]
    return max(1.0, float(np.exp(-(shares * np.log(shares)).sum())))


def _unit(embeddings: Embeddings) -> Float[np.ndarray, "n d"]:
    e = embeddings.astype(np.float64)
    unit: np.ndarray = e / np.linalg.norm(e, axis=1, keepdims=True)
    return unit
