"""Direct preference optimisation under any divergence."""

import math
from typing import final

from trainers.divergences import Divergence, ReverseKL
from trainers.objectives.base import (
    Objective,
    ObjectiveOutput,
    PairErrors,
    as_divergence,
    bradley_terry_loss,
    objectives,
    positive,
    preference_logs,
    weighted_mean,
)


@final
@objectives.register()
class FDPO(Objective):
    r"""Direct preference optimisation under an f-divergence.

    $$ L = E[-\log\sigma(\beta\,(h(s_w) - h(s_l)))] $$

    arXiv 2309.16240 for language models, arXiv 2409.09774 for images.

    Args:
        divergence: What holds the policy near the reference; a name will do.
        beta: Its weight, in units of reward per nat at slope 1.

    Raises:
        ValueError: If beta is not positive.
    """

    name = "f_dpo"
    value_at_reference = math.log(2)
    uses_reference = True
    paired = True
    couples_batch = False

    def __init__(self, divergence: Divergence | str, beta: float) -> None:
        self.divergence, self.beta = as_divergence(divergence), positive("beta", beta)

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        f, beta = self.divergence, self.beta
        s_w, s_l = errors.log_ratios()
        loss = weighted_mean(bradley_terry_loss(beta * (f.h(s_w) - f.h(s_l))), errors.weight)
        return ObjectiveOutput(loss, {"loss": loss.detach(), **preference_logs(f, beta, s_w, s_l)})


@objectives.register()
def diffusion_dpo(beta: float) -> FDPO:
    """Diffusion-DPO: f_dpo under reverse KL (arXiv 2311.12908)."""
    return FDPO(ReverseKL(), beta)
