"""Divergence minimisation preference optimisation: the other direction of the divergence."""

import math
from typing import final

from torch.nn.functional import logsigmoid

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
class DMPO(Objective):
    r"""DMPO: the reverse KL from the policy's preference to the smoothed label.

    $$ L = E\left[p \log\frac{p}{1 - \alpha} + (1 - p) \log\frac{1 - p}{\alpha}\right],
       \qquad p = \sigma(\beta\,(s_w - s_l)) $$

    DPO minimises the forward KL from the label to p; this one, mode-seeking, the reverse, which needs
    $\alpha > 0$ and ends at a margin of $\log((1 - \alpha)/\alpha)$. arXiv 2507.07510. Its body could
    not be checked and the authors have no public code that we know of: the formula is that of the
    `dmpo` of AIDC-AI/Diffusion-SDPO (alpha 0.01, beta 2000 with a log-ratio scale of 1/2), less the
    safeguard which is that repository's own. EXO (arXiv 2402.00856) is the same for language models.

    Args:
        beta: Weight of the reverse KL that holds the policy near the reference.
        alpha: Share of labels taken to be wrong, in (0, 1/2).

    Raises:
        ValueError: If beta is not positive or alpha is outside.
    """

    name = "dmpo"
    uses_reference = True
    paired = True
    couples_batch = False

    def __init__(self, beta: float, alpha: float = 0.01) -> None:
        self.divergence, self.beta, self.alpha = ReverseKL(), positive("beta", beta), float(alpha)
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha is between 0 and 1/2, got {alpha}")
        self.value_at_reference = -math.log(2) - math.log(self.alpha * (1 - self.alpha)) / 2

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        s_w, s_l = errors.log_ratios()
        logit = self.beta * (s_w - s_l)
        log_p, log_q = logsigmoid(logit), logsigmoid(-logit)  # q = 1 - p
        won = log_p.exp() * (log_p - math.log1p(-self.alpha))
        lost = log_q.exp() * (log_q - math.log(self.alpha))
        loss = weighted_mean(won + lost, errors.weight)
        logs = preference_logs(self.divergence, self.beta, s_w, s_l)
        return ObjectiveOutput(loss, {"loss": loss.detach(), **logs})
