"""Direct score preference optimisation: the winner's score is the target."""

from typing import final

import torch

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


@final
@objectives.register()
class DSPO(Objective):
    r"""DSPO: score matching to the preferred images, pushed on where the policy loses the pair.

    $$ L = E\left[\frac{1}{CHW}\left\| \epsilon_\theta - \epsilon - \beta\,\sigma(-\beta\,(s_w - s_l))
           \,(\epsilon_\theta - \epsilon_{\mathrm{ref}}) \right\|^2\right] $$

    on the winners' predictions $\epsilon_\theta, \epsilon_{\mathrm{ref}}$ and target $\epsilon$, noise or v.
    Losers enter through $\sigma$ alone, which carries gradient, as in their code. At the reference the loss
    is that of `sft` and its gradient $1 - \beta/2$ times it. ICLR 2025 (OpenReview xyfb9HHvMe); the formula
    is that of their code (huaishengzhu/DSPO) for Stable Diffusion 1.5, where the log-ratio scale is 1/2 and
    beta 0.001 to 0.05.

    Differences from their code: scale and beta are two numbers. Its loss for SDXL is another one, which drops
    the residual and has two branches by the mean of a batch; it is not here.

    Args:
        beta: In (0, 1]. Above 1 the gradient would lead winners away from their target.

    Raises:
        ValueError: If beta is outside.
    """

    name = "dspo"
    value_at_reference = None  # the reference's own error on winners
    uses_reference = True
    paired = True
    couples_batch = False
    needs_predictions = True

    def __init__(self, beta: float = 0.001) -> None:
        self.divergence, self.beta = ReverseKL(), positive("beta", beta)
        if self.beta > 1:
            raise ValueError(
                f"beta is at most 1, got {beta}: above, winners would be led away from their target"
            )

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        s_w, s_l = errors.log_ratios()
        said = errors.predictions_winner
        if said is None or said.reference is None:
            raise ValueError("this objective needs predictions_winner of policy and reference")
        push = self.beta * torch.sigmoid(-self.beta * (s_w - s_l))
        residual = said.policy - said.target - push[..., None, None, None] * (said.policy - said.reference)
        loss = weighted_mean(residual.square().mean((-3, -2, -1)), errors.weight)
        logs = preference_logs(self.divergence, self.beta, s_w, s_l)
        return ObjectiveOutput(loss, {"loss": loss.detach(), **logs, "push": push.detach().mean()})
