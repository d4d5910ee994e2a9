r"""The steps of stochastic DDIM as Gaussians, for whoever compares two models step by step.

A step draws $x_{t-1} \sim N(\mu(x_t, c), \sigma_t^2)$ with $\mu$ linear in what the network says,
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

from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor

from benchmark.models.base import PredictionType

ETA = 1.0
"""Of the sampler: with less noise the last factor of s, $1/\\sigma^2$, only grows."""


@dataclass(frozen=True, eq=False)
class Steps:
    r"""The steps of a sampler that can be trained on, in the order they are taken.

    A step without noise has no density and is left out: usually the last one.

    Attributes:
        index: Their positions in the sampler's walk.
        t: Timesteps at which the network is asked.
        a: Weight of $x_t$ in $\mu$.
        b: Weight of the network's output in $\mu$.
        sigma: Standard deviation of the noise.
    """

    index: Int[Tensor, " steps"]
    t: Int[Tensor, " steps"]
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


def sampler_steps(scheduler: DDIMScheduler, count: int, prediction: PredictionType) -> Steps:
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
    return Steps(kept, t[kept], a[kept], b[kept], sigma[kept])
