"""How spread out unit embeddings are."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize


def mean_pair_distance(embeddings: Float[Tensor, "n d"]) -> float:
    r"""$\frac{1}{n(n-1)} \sum_{i \ne j} (1 - \cos(e_i, e_j))$, n at least 2; in [0, n / (n - 1)].

    Args:
        embeddings: Of any length; in float64 from here on.
    """
    e, n = _unit(embeddings), len(embeddings)
    # The sum of all cosines is the squared length of the sum; the diagonal's are 1.
    return max(0.0, 1 - (float(e.sum(0).square().sum()) - n) / (n * (n - 1)))


def vendi(embeddings: Float[Tensor, "n d"]) -> float:
    r"""$\exp(-\sum_i \lambda_i \log \lambda_i)$ with $\lambda$ the eigenvalues of $K/n$, $K_{ij} = \cos(e_i, e_j)$.

    From 1, all alike, to n, all at right angles.

    Args:
        embeddings: Of any length; in float64 from here on.
    """
    e, n = _unit(embeddings), len(embeddings)
    # E E' and E' E have the same eigenvalues besides zeros, and 0 log 0 = 0: the smaller one will do.
    gram = e @ e.T if n <= e.shape[1] else e.T @ e
    share = torch.linalg.eigvalsh(gram / n).clamp(min=0)
    return float(torch.special.entr(share).sum().exp())


def _unit(embeddings: Tensor) -> Tensor:
    return normalize(embeddings.double(), dim=1)
