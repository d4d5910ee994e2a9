"""Relative preference optimisation: the pairs of a batch compared with each other."""

import math
from typing import final

from trainers.divergences import Divergence
from trainers.objectives.base import (
    Objective,
    ObjectiveOutput,
    PairErrors,
    as_divergence,
    bradley_terry_loss,
    contrast_weights,
    objectives,
    one_of,
    positive,
    preference_logs,
    weighted_mean,
)


@final
@objectives.register()
class RPO(Objective):
    r"""Relative preference optimisation: every winner against every loser of the batch.

    $$ L = \frac{1}{N^2} \sum_{ij} -\log\sigma(\beta\,w_{ij}\,(h(s_{w,i}) - h(s_{l,j}))) $$

    with the rows of w, from `contrast_weights`, times N. Off the diagonal the preference is assumed, not
    observed, and the prompts' normalisers do not cancel: a regulariser, not a likelihood. With N = 1 it is
    f_dpo to the bit. Where pairs have weights, row i counts as winner i's pair does. arXiv 2406.06382 for
    images, arXiv 2402.10958 for language models; what the papers leave open: docs/decisions/rpo-weights.md.

    Args:
        divergence: What holds the policy near the reference; a name will do.
        beta: Its weight; on the diagonal it acts as `beta N w_ii`, logged as `diagonal_beta`.
        tau: Temperature of the weights: small compares only the most alike, large all equally.
        weight: `inside` the sigmoid, or `outside` as the weights of a mean of plain losses.
        normalisation: Rows of w sum to N (`row*N`) or to 1 (`row`). Outside, a mean has no use for it and
            both are one loss.

    Raises:
        ValueError: If beta or tau is not positive, or an option is unknown.
    """

    name = "rpo"
    value_at_reference = math.log(2)
    uses_reference = True
    paired = True
    couples_batch = True
    needs_embeddings = True

    def __init__(
        self,
        divergence: Divergence | str,
        beta: float,
        tau: float = 0.5,
        weight: str = "inside",
        normalisation: str = "row*N",
    ) -> None:
        self.divergence, self.beta = as_divergence(divergence), positive("beta", beta)
        self.tau = positive("tau", tau)
        self.weight = one_of("weight", weight, ("inside", "outside"))
        self.normalisation = one_of("normalisation", normalisation, ("row*N", "row"))

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        f, beta = self.divergence, self.beta
        s_w, s_l = errors.log_ratios()
        w = contrast_weights(*errors.embeddings(), self.tau)
        if self.weight == "outside" or self.normalisation == "row*N":
            w = w * w.shape[-1]
        delta = f.h(s_w)[..., :, None] - f.h(s_l)[..., None, :]  # i: winners, j: losers
        if self.weight == "inside":
            losses = bradley_terry_loss(beta * w * delta)
        else:
            losses = w * bradley_terry_loss(beta * delta)
        loss = weighted_mean(losses, None if errors.weight is None else errors.weight[:, None])
        logs = preference_logs(f, beta, s_w, s_l)
        diagonal_beta = beta * w.detach().diagonal().mean()
        return ObjectiveOutput(loss, {"loss": loss.detach(), **logs, "diagonal_beta": diagonal_beta})
