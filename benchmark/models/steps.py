r"""The steps of a sampler: as images are made, and as Gaussians for whoever compares two models step by step.

A stochastic step draws $x_{t-1} \sim N(\mu(x_t, c), \sigma_t^2)$ with $\mu$ linear in what the network says,
$\mu = a\,x_t + b\,\mathrm{output}$. The ratio of policy and reference at a step that was taken, the estimator
`transition` of the log-ratio, is

$$ s = \log \frac{p_\theta(x_{t-1} \mid x_t, c)}{p_{\mathrm{ref}}(x_{t-1} \mid x_t, c)}
     = -\frac{\|x_{t-1} - \mu_\theta\|^2 - \|x_{t-1} - \mu_{\mathrm{ref}}\|^2}{2 \sigma_t^2}
     = -\kappa_t\,(m_\theta - m_{\mathrm{ref}}), \qquad \kappa_t = \frac{D\,b^2}{2 \sigma_t^2}, $$

with $m$ the mean squared error against the output that would have led to $x_{t-1}$,
$\mathrm{target} = (x_{t-1} - a\,x_t)/b$. So a step of a trajectory is trained on like a noisy image, with
a target and a scale of its own. It is a sum over dimensions; SPO (arXiv 2406.04314) takes their mean, scale
1/D.

Under the reference's own steps $E[e^s] = 1$.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from benchmark.core.errors import UserError


def no_gaussian_steps(name: str) -> UserError:
    """The refusal of a family whose sampler draws no Gaussian steps, where their densities are asked for.

    Args:
        name: Of the base model.
    """
    return UserError(
        f"the sampler of {name} has no Gaussian steps, which the estimator transition and the scorer path_kl "
        "compare",
        do="use the estimator denoising, and leave out --distance and path_kl",
    )


class SamplerSteps(ABC):
    """One walk from noise to latents; it may have state, so each call of a sampler makes its own.

    Attributes:
        times: What the network is asked at, in order: one number each, as the family counts time.
    """

    times: Sequence[Tensor] | Tensor

    @abstractmethod
    def start(self, noise: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The first latents, where the network is.

        Args:
            noise: Of a standard normal distribution, on the CPU.
        """

    @abstractmethod
    def step(
        self,
        prediction: Float[Tensor, "n c h w"],
        t: Num[Tensor, ""],
        latents: Float[Tensor, "n c h w"],
        generators: list[torch.Generator],
    ) -> Float[Tensor, "n c h w"]:
        """The next latents.

        Args:
            prediction: What the network says, float32.
            t: The one of `times` it was asked at.
            latents: Those it was asked about.
            generators: Of each image, on the CPU, for steps that draw noise.
        """


@dataclass(frozen=True, eq=False)
class TransitionSteps:
    r"""The steps of a sampler that can be trained on, in the order they are taken.

    A step without noise has no density and is left out: usually the last one.

    Attributes:
        index: Their positions in the sampler's walk.
        t: The times at which the network is asked.
        a: Weight of $x_t$ in $\mu$.
        b: Weight of the network's output in $\mu$.
        sigma: Standard deviation of the noise.
    """

    index: Int[Tensor, " steps"]
    t: Num[Tensor, " steps"]
    a: Float[Tensor, " steps"]
    b: Float[Tensor, " steps"]
    sigma: Float[Tensor, " steps"]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.t)

    def scale(self, dimension: int) -> Float[Tensor, " steps"]:
        r"""$\kappa_t = D\,b^2 / (2 \sigma_t^2)$: from mean squared errors to nats."""
        return dimension * self.b.square() / (2 * self.sigma.square())

    def target(
        self,
        before: Float[Tensor, "*batch c h w"],
        after: Float[Tensor, "*batch c h w"],
        which: Int[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch c h w"]:
        r"""The network's output that would have led from one latent to the next without noise.

        $$ \mathrm{target} = (x_{t-1} - a\,x_t)/b $$

        Args:
            before: $x_t$.
            after: $x_{t-1}$, as it was drawn.
            which: Rows of this table.
        """
        a, b = (w.to(before)[which][..., None, None, None] for w in (self.a, self.b))
        return (after - a * before) / b
