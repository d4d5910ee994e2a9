r"""Objectives: what one optimiser step minimises, as a function of a batch of N pairs.

Notation: $s_w, s_l$ are the log-ratios of winner and loser in nats (`trainers.log_ratio`), h is the
divergence's (`trainers.divergences`), $\Delta = h(s_w) - h(s_l)$, $\sigma$ the logistic function, E a mean
over pairs and draws, weighted where the pairs are.

The last axis of every tensor is the pair. Axes before it, if any, are independent draws of (t, noise) for the
same pairs: a loss is their mean, and only within a draw are different pairs ever compared, because there they
can share a noise level.

How to add an objective: docs/adding-an-objective.md.
"""

from trainers.objectives.base import (
    Objective,
    ObjectiveOutput,
    PairErrors,
    Predictions,
    bradley_terry_loss,
    contrast_weights,
    gradient_field,
    margin_logs,
    objectives,
    preference_logs,
    slope_matched_beta,
    text_image_embedding,
    weighted_mean,
)
from trainers.objectives.dmpo import DMPO
from trainers.objectives.dspo import DSPO
from trainers.objectives.f_dpo import FDPO, diffusion_dpo
from trainers.objectives.ipo import IPO
from trainers.objectives.kto import KTO
from trainers.objectives.reference_free import SFT, MaPO
from trainers.objectives.rpo import RPO

__all__ = [
    "DMPO",
    "DSPO",
    "FDPO",
    "IPO",
    "KTO",
    "RPO",
    "SFT",
    "MaPO",
    "Objective",
    "ObjectiveOutput",
    "PairErrors",
    "Predictions",
    "bradley_terry_loss",
    "contrast_weights",
    "diffusion_dpo",
    "gradient_field",
    "margin_logs",
    "objectives",
    "preference_logs",
    "slope_matched_beta",
    "text_image_embedding",
    "weighted_mean",
]
