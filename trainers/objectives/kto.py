"""Kahneman-Tversky optimisation: images liked or disliked, each for itself."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.divergences import ReverseKL
from trainers.objectives.base import (
    Objective,
    ObjectiveOutput,
    PairErrors,
    objectives,
    positive,
    preference_logs,
    weighted_mean,
)


def reference_point(
    s_w: Float[Tensor, "*draws n"], s_l: Float[Tensor, "*draws n"], weight: Float[Tensor, " n"] | None
) -> Float[Tensor, "*draws 1"]:
    r"""$z = \max(0, E[s])$ over winners and losers of a draw, detached."""
    both = (s_w.detach() + s_l.detach()) / 2
    w = torch.ones_like(both) if weight is None else weight.expand_as(both)
    return ((w * both).sum(-1, keepdim=True) / w.sum(-1, keepdim=True)).clamp(min=0)


@final
@objectives.register()
class KTO(Objective):
    r"""Diffusion-KTO: every image is a gain or a loss, measured from where the batch stands.

    $$ L = \tfrac12 E\left[\lambda_w\,(1 - \sigma(\beta\,(s_w - z)))
           + \lambda_l\,(1 - \sigma(\beta\,(z - s_l)))\right], \qquad z = \max(0, E[s]) $$

    with z over winners and losers of the batch, without gradient. arXiv 2404.04465. The utility is the
    sigmoid, their code's default (`halo`) and the S-shape of prospect theory: saturated images, on either
    side, have no more pull.

    Differences from their code (jacklishufan/diffusion-kto): it takes single labelled images, 80 % of them
    liked, where winners and losers come in equal numbers here; its `beta_dpo` of 1000 is the log-ratio scale
    times beta; its timesteps differ within a batch, where the default here is one for the batch, so that z is
    a mean at one noise level (`share_t pair` gives theirs).

    Args:
        beta: How fast the utility saturates, per nat.
        desirable: $\lambda_w$, the weight of winners.
        undesirable: $\lambda_l$, the weight of losers.

    Raises:
        ValueError: If an argument is not positive.
    """

    name = "kto"
    uses_reference = True
    paired = True
    couples_batch = True

    def __init__(self, beta: float, desirable: float = 1.0, undesirable: float = 1.0) -> None:
        self.divergence, self.beta = ReverseKL(), positive("beta", beta)
        self.desirable, self.undesirable = (
            positive("desirable", desirable),
            positive("undesirable", undesirable),
        )
        self.value_at_reference = (self.desirable + self.undesirable) / 4

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        s_w, s_l = errors.log_ratios()
        z = reference_point(s_w, s_l, errors.weight)
        # 1 - sigma(x) = sigma(-x), without the cancellation
        gains = self.desirable * torch.sigmoid(-self.beta * (s_w - z))
        losses = self.undesirable * torch.sigmoid(-self.beta * (z - s_l))
        loss = weighted_mean((gains + losses) / 2, errors.weight)
        logs = preference_logs(self.divergence, self.beta, s_w, s_l)
        return ObjectiveOutput(loss, {"loss": loss.detach(), **logs, "reference_point": z.mean()})
