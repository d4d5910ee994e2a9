"""Identity preference optimisation."""

from typing import final

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
class IPO(Objective):
    r"""Identity preference optimisation: a margin of 1/(2 beta) nats, neither less nor more.

    $$ L = E\left[\left(s_w - s_l - \frac{1}{2\beta}\right)^2\right] $$

    Where DPO drives the margin to infinity on pairs that are always won, this stops at a finite one: past it
    the gradient turns round. arXiv 2310.12036, equation 17, where beta is called tau.

    Differences from public code: TRL's `ipo` divides each log-probability by the number of tokens, for which
    the log-ratio scale stands here; diffusers' DPO example has the branch with a scale of 1 (but reads a
    setting that it does not have).

    Args:
        beta: Weight of the reverse KL that holds the policy near the reference.

    Raises:
        ValueError: If beta is not positive.
    """

    name = "ipo"
    uses_reference = True
    paired = True
    couples_batch = False

    def __init__(self, beta: float) -> None:
        self.divergence, self.beta = ReverseKL(), positive("beta", beta)
        self.value_at_reference = 1 / (2 * self.beta) ** 2

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        s_w, s_l = errors.log_ratios()
        loss = weighted_mean((s_w - s_l - 1 / (2 * self.beta)).square(), errors.weight)
        logs = preference_logs(self.divergence, self.beta, s_w, s_l)
        return ObjectiveOutput(loss, {"loss": loss.detach(), **logs})
