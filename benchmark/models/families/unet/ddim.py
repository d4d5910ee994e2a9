"""Steps of DDIM: the walk that makes images, and the stochastic one as Gaussians."""

from typing import Literal, TypeAlias, final

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float, Num
from torch import Tensor

from benchmark.core.records import Sampler
from benchmark.models.steps import SamplerSteps, TransitionSteps

PredictionType: TypeAlias = Literal["epsilon", "v_prediction", "sample"]

ETA = 1.0
"""Of the stochastic walk: with less noise the last factor of s, $1/\\sigma^2$, only grows."""


@final
class DDIMSteps(SamplerSteps):
    """A walk by a scheduler of its own, because a scheduler's timesteps are state.

    Args:
        scheduler: The noise schedule.
        sampler: Steps and eta.
        device: Where the network is.
    """

    def __init__(self, scheduler: DDIMScheduler, sampler: Sampler, device: torch.device) -> None:
        self._scheduler: DDIMScheduler = DDIMScheduler.from_config(scheduler.config)
        self._scheduler.set_timesteps(sampler.steps, device=device)
        self._eta, self._device = sampler.eta, device
        self.times = self._scheduler.timesteps

    def start(self, noise: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The noise, in the scheduler's scale."""
        latents: Tensor = (noise * self._scheduler.init_noise_sigma).to(self._device)
        return latents

    def step(
        self,
        prediction: Float[Tensor, "n c h w"],
        t: Num[Tensor, ""],
        latents: Float[Tensor, "n c h w"],
        generators: list[torch.Generator],
    ) -> Float[Tensor, "n c h w"]:
        """The latents one step nearer to the image."""
        step = self._scheduler.step(prediction, t, latents, eta=self._eta, generator=generators)
        after: Tensor = step.prev_sample
        return after


def transition_steps(scheduler: DDIMScheduler, count: int, prediction: PredictionType) -> TransitionSteps:
    r"""The steps of DDIM with $\eta = 1$.

    With $\bar\alpha$ before and $\bar\alpha'$ after a step,
    $\sigma^2 = \frac{1 - \bar\alpha'}{1 - \bar\alpha}\,(1 - \bar\alpha / \bar\alpha')$ and
    $\mu = \sqrt{\bar\alpha'}\,\hat x_0 + \sqrt{1 - \bar\alpha' - \sigma^2}\,\hat\epsilon$
    (arXiv 2010.02502, equations 12 and 16), where $\hat x_0$ and $\hat\epsilon$ follow from what the network
    predicts.

    Args:
        scheduler: Its noise schedule.
        count: Steps of a walk.
        prediction: What the network says.
    """
    own: DDIMScheduler = DDIMScheduler.from_config(scheduler.config)
    own.set_timesteps(count)
    t = own.timesteps.cpu().long()
    stride = int(own.config.num_train_timesteps) // count
    cumulative = own.alphas_cumprod.double()
    later = t - stride
    alpha = cumulative[t]
    after = torch.where(later >= 0, cumulative[later.clamp(min=0)], own.final_alpha_cumprod.double())
    variance = ETA**2 * (1 - after) / (1 - alpha) * (1 - alpha / after)
    of_x0, of_noise = after.sqrt(), (1 - after - variance).clamp(min=0).sqrt()
    # x0 and noise as x0 = p x + q output, noise = r x + w output.
    if prediction == "epsilon":
        p, q, r, w = (
            1 / alpha.sqrt(),
            -((1 - alpha) / alpha).sqrt(),
            torch.zeros_like(alpha),
            torch.ones_like(alpha),
        )
    elif prediction == "v_prediction":
        p, q, r, w = alpha.sqrt(), -(1 - alpha).sqrt(), (1 - alpha).sqrt(), alpha.sqrt()
    else:
        root = (1 - alpha).sqrt()
        p, q, r, w = torch.zeros_like(alpha), torch.ones_like(alpha), 1 / root, -alpha.sqrt() / root
    a, b, sigma = of_x0 * p + of_noise * r, of_x0 * q + of_noise * w, variance.clamp(min=0).sqrt()
    kept = torch.nonzero((sigma > 0) & (b != 0)).flatten()
    return TransitionSteps(kept, t[kept], a[kept], b[kept], sigma[kept])
