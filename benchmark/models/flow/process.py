r"""The straight path from an image to noise, and what is known of one parameterisation by another.

With $\sigma$ in [0, 1],

$$ x_\sigma = (1 - \sigma)\,x_0 + \sigma\,\epsilon, \qquad v = \epsilon - x_0 $$

(rectified flow: arXiv 2209.03003; arXiv 2403.03206, section 2).
"""

from collections.abc import Callable, Mapping
from typing import Final

from jaxtyping import Float
from torch import Tensor

from benchmark.models.families.base import ErrorOf


def noisy(
    x0: Float[Tensor, "n c h w"], eps: Float[Tensor, "n c h w"], sigma: Float[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    r"""$x_\sigma = (1 - \sigma)\,x_0 + \sigma\,\epsilon$."""
    share = sigma[:, None, None, None]
    return (1 - share) * x0 + share * eps


def velocity(x0: Float[Tensor, "n c h w"], eps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    r"""$v = \epsilon - x_0$, the same at every sigma."""
    return eps - x0


WEIGHTS: Final[Mapping[ErrorOf, Callable[[Tensor], Tensor] | None]] = {
    "prediction": None,
    "noise": lambda sigma: (1 - sigma).square(),
    "image": lambda sigma: sigma.square(),
}
r"""By what an error of the velocity is multiplied to be that of another parameterisation; None for 1.

A velocity $\hat v$ at $x_\sigma$ means the noise $\hat\epsilon = x_\sigma + (1 - \sigma)\,\hat v$ and the
image $\hat x_0 = x_\sigma - \sigma\,\hat v$, so

$$ \|\hat\epsilon - \epsilon\|^2 = (1 - \sigma)^2\,\|\hat v - v\|^2, \qquad
   \|\hat x_0 - x_0\|^2 = \sigma^2\,\|\hat v - v\|^2. $$
"""
