r"""Euler steps of a flow, and the same steps with noise in them.

With the velocity $\hat v$ at $x_\sigma$, $\hat x_0 = x_\sigma - \sigma\,\hat v$ and
$\hat\epsilon = x_\sigma + (1 - \sigma)\,\hat v$. A step to $\sigma' < \sigma$ that adds noise of standard
deviation $\tau \le \sigma'$ is

$$ x_{\sigma'} = (1 - \sigma')\,\hat x_0 + \sqrt{\sigma'^2 - \tau^2}\,\hat\epsilon + \tau z, $$

whose marginals are the flow's own for every $\tau$ where $\hat v$ is that of the image itself, and as steps
grow small where it is the mean of all images that may be meant. Without noise it is Euler's step
$x_\sigma + (\sigma' - \sigma)\,\hat v$. The noise of $\eta = 1$ makes it the flow's own posterior
$q(x_{\sigma'} \mid x_\sigma, x_0)$ at $\hat x_0$,

$$ \tau_1^2 = \sigma'^2 \left(1 - \frac{(1 - \sigma)^2\,\sigma'^2}{(1 - \sigma')^2\,\sigma^2}\right),
   \qquad \tau = \eta\,\tau_1 : $$

DDIM (arXiv 2010.02502, equations 12 and 16) in the flow's terms. For small steps this is the SDE of Flow-GRPO
(arXiv 2505.05470) with noise level $\sqrt 2\,\eta$; see docs/decisions/noise-in-flow-steps.md.
"""

from typing import Final, final

import torch
from jaxtyping import Float, Num
from torch import Tensor

from benchmark.models.steps import SamplerSteps, TransitionSteps

ETA: Final = 1.0
"""Of the stochastic walk, as of DDIM's."""


@final
class EulerSteps(SamplerSteps):
    """A walk down a table of sigmas.

    Args:
        sigmas: Falling, one more than steps; the last is 0.
        eta: Share of the noise of the flow's own posterior.
        device: Where the network is.
    """

    def __init__(self, sigmas: Float[Tensor, " points"], eta: float, device: torch.device) -> None:
        self.times = sigmas[:-1].to(device)
        self._sigmas, self._eta, self._device, self._taken = sigmas, eta, device, 0
        self._gaussians = gaussians(sigmas, eta) if eta else None

    def start(self, noise: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The noise itself."""
        return noise.to(self._device)

    def step(
        self,
        prediction: Float[Tensor, "n c h w"],
        t: Num[Tensor, ""],
        latents: Float[Tensor, "n c h w"],
        generators: list[torch.Generator],
    ) -> Float[Tensor, "n c h w"]:
        """The latents one step nearer to the image."""
        del t  # the steps are taken in order
        k = self._taken
        self._taken += 1
        if self._gaussians is None:
            moved: Tensor = latents + (self._sigmas[k + 1] - self._sigmas[k]).item() * prediction
            return moved
        a, b, tau = (float(column[k]) for column in self._gaussians)
        mean: Tensor = a * latents + b * prediction
        noise = torch.cat([torch.randn((1, *latents.shape[1:]), generator=g) for g in generators])
        return mean + tau * noise.to(mean.device)


def gaussians(
    sigmas: Float[Tensor, " points"], eta: float
) -> tuple[Float[Tensor, " steps"], Float[Tensor, " steps"], Float[Tensor, " steps"]]:
    r"""The steps as Gaussians $N(a\,x_\sigma + b\,\hat v,\ \tau^2)$, in float64.

    Args:
        sigmas: Falling, one more than steps.
        eta: Share of the noise of the flow's own posterior.
    """
    before, after = sigmas[:-1].double(), sigmas[1:].double()
    ratio = (1 - before) * after / ((1 - after) * before)
    tau = eta * after * (1 - ratio.square()).clamp(min=0).sqrt()
    of_noise = (after.square() - tau.square()).clamp(min=0).sqrt()
    a = (1 - after) + of_noise
    b = of_noise * (1 - before) - (1 - after) * before
    return a, b, tau


def transition_steps(sigmas: Float[Tensor, " points"]) -> TransitionSteps:
    r"""The steps with $\eta = 1$ that have noise, so all but the last.

    Args:
        sigmas: Falling, one more than steps; the last is 0.
    """
    a, b, tau = gaussians(sigmas, ETA)
    kept = torch.nonzero((tau > 0) & (b != 0)).flatten()
    return TransitionSteps(kept, sigmas[:-1][kept], a[kept], b[kept], tau[kept])
