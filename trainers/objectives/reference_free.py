"""Objectives without a reference model: supervised fine-tuning, and margin-aware preference optimisation."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.objectives.base import (
    Objective,
    ObjectiveOutput,
    PairErrors,
    bradley_terry_loss,
    margin_logs,
    objectives,
    positive,
    weighted_mean,
)


@final
@objectives.register()
class SFT(Objective):
    r"""Supervised fine-tuning on the winners.

    $$ L = E[m_\theta(x_w)] $$
    """

    name = "sft"
    value_at_reference = None  # the reference's own error
    uses_reference = False
    paired = False
    couples_batch = False

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        loss = weighted_mean(errors.policy_winner, errors.weight)
        return ObjectiveOutput(loss, {"loss": loss.detach()})


def bounded_score(error: Float[Tensor, "*any"], steepness: float) -> Float[Tensor, "*any"]:
    r"""$\phi(m) = a m / (e^{a m} - 1)$: 1 without error, falling to 0."""
    x = (steepness * error).clamp(min=1e-6)  # 0/0 at an error of exactly 0
    return x * torch.exp(-x) / -torch.expm1(-x)  # the same, multiplied by exp(-x): nothing overflows


@final
@objectives.register()
class MaPO(Objective):
    r"""MaPO: fine-tuning on winners, and a margin between likelihoods; no reference model.

    $$ L = E[m_\theta(x_w)] - \beta\,E[\log\sigma(T\,(\phi(m_\theta(x_w)) - \phi(m_\theta(x_l))))],
       \qquad \phi(m) = \frac{a\,m}{e^{a m} - 1} $$

    arXiv 2406.06424; formula and constants as in their code (mapo-t2i/mapo, `compute_loss`), where a is
    `snr_value` and T the number of training timesteps. Nothing holds the policy near the base model
    but the first term. Ours differs in nothing but the rewriting of phi that does not overflow.

    Args:
        beta: Weight of the margin against the first term; not a weight of a divergence.
        steepness: a.
        timesteps: T.

    Raises:
        ValueError: If an argument is not positive.
    """

    name = "mapo"
    value_at_reference = None  # the base model's own errors decide
    uses_reference = False
    paired = True
    couples_batch = False

    def __init__(self, beta: float = 0.1, steepness: float = 0.5, timesteps: float = 1000.0) -> None:
        self.beta = positive("beta", beta)
        self.steepness, self.timesteps = positive("steepness", steepness), positive("timesteps", timesteps)

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        m_w, m_l = errors.policy_errors()
        margin = self.timesteps * (bounded_score(m_w, self.steepness) - bounded_score(m_l, self.steepness))
        loss = weighted_mean(m_w + self.beta * bradley_terry_loss(margin), errors.weight)
        return ObjectiveOutput(loss, {"loss": loss.detach(), **margin_logs(margin)})
