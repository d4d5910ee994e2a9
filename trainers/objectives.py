r"""Objectives: what one optimiser step minimises, as a function of a batch of N pairs.

Notation: $s_w, s_l$ are the log-ratios of winner and loser in nats (`trainers.log_ratio`), h is the
divergence's (`trainers.divergences`), $\Delta = h(s_w) - h(s_l)$, $\sigma$ the logistic function.

The last axis of every tensor is the pair. Axes before it, if any, are independent draws of
(t, noise) for the same pairs: a loss is their mean, and only within a draw are different pairs ever
compared, because there they can share a noise level.
"""
# ruff: noqa: D102  `__call__` is documented once, where it is declared

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from benchmark.core.registry import Registry
from trainers.divergences import Divergence, ReverseKL
from trainers.preference_logs import preference_logs

# --- records -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictions:
    """What the networks said of one side of the pairs, for objectives that need the vectors.

    Attributes:
        policy: Prediction of the policy.
        reference: Prediction of the reference.
        target: What both should have said.
    """

    policy: Float[Tensor, "*draws n c h w"]
    reference: Float[Tensor, "*draws n c h w"]
    target: Float[Tensor, "*draws n c h w"]


@dataclass(frozen=True)
class PairErrors:
    r"""A batch of pairs as objectives see it; tensors are references, never copies.

    Attributes:
        policy_winner: $m_\theta(x_w)$, the policy's prediction error.
        policy_loser: $m_\theta(x_l)$; None for data without losers.
        log_ratio_winner: $s_w$ in nats, float32; None without a reference.
        log_ratio_loser: $s_l$ likewise.
        embedding_winner: $e_w$, of prompt, image or both (`text_image_embedding`).
        embedding_loser: $e_l$ likewise.
        predictions_winner: The vectors behind the errors.
        predictions_loser: The vectors behind the errors.
    """

    policy_winner: Float[Tensor, "*draws n"]
    policy_loser: Float[Tensor, "*draws n"] | None = None
    log_ratio_winner: Float[Tensor, "*draws n"] | None = None
    log_ratio_loser: Float[Tensor, "*draws n"] | None = None
    embedding_winner: Float[Tensor, "n e"] | None = None
    embedding_loser: Float[Tensor, "n e"] | None = None
    predictions_winner: Predictions | None = None
    predictions_loser: Predictions | None = None

    def log_ratios(self) -> tuple[Float[Tensor, "*draws n"], Float[Tensor, "*draws n"]]:
        """$s_w, s_l$; a ValueError where they are missing."""
        return self._both("log_ratio_winner", "log_ratio_loser")

    def embeddings(self) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
        """$e_w, e_l$; a ValueError where they are missing."""
        return self._both("embedding_winner", "embedding_loser")

    def _both(self, winner: str, loser: str) -> tuple[Tensor, Tensor]:
        first, second = getattr(self, winner), getattr(self, loser)
        if first is None or second is None:
            given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
            raise ValueError(f"this objective needs {winner} and {loser}; given: {given}")
        if first.shape != second.shape:
            raise ValueError(f"{winner} {tuple(first.shape)} and {loser} {tuple(second.shape)} differ")
        return first, second


@dataclass(frozen=True)
class ObjectiveOutput:
    """What a step needs.

    Attributes:
        loss: To minimise.
        logs: Named scalars, detached and still on the device, so that nothing waits for them.
    """

    loss: Float[Tensor, ""]
    logs: Mapping[str, Float[Tensor, ""]]


class Objective(ABC):
    """A small callable: constants in the constructor, one equation in `__call__`.

    Attributes:
        name: Lower case with `_`.
        value_at_reference: The loss where the policy is the reference, None where data decide.
        uses_reference: Whether it needs a reference model.
        paired: Whether it needs losers.
        couples_batch: Whether pairs of one batch meet in the loss, so that several processes must
            gather log-ratios and embeddings, with gradients, before it.
    """

    name: str
    value_at_reference: float | None
    uses_reference: bool
    paired: bool
    couples_batch: bool

    @abstractmethod
    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        """Loss and logs of one batch; ValueError if the record lacks what the objective needs."""


objectives: Registry[Objective] = Registry(
    "objective", group="fbench.objectives", modules=("trainers.objectives",)
)

# --- equations ---------------------------------------------------------------------------------


def bradley_terry_loss(logits: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    r"""$-\log\sigma(\mathrm{logit})$, the negative log-likelihood of the observed preference."""
    return -logsigmoid(logits)


def slope_matched_beta(beta: float, divergence: Divergence) -> float:
    r"""$\beta / f''(1)$: with it every divergence starts as reverse KL at beta does."""
    return beta / divergence.slope_at_1


def text_image_embedding(text: Float[Tensor, "n t"], image: Float[Tensor, "n i"]) -> Float[Tensor, "n t+i"]:
    r"""$e = (t/\|t\|, v/\|v\|)/\sqrt 2$: its cosine is the mean of the text's and the image's."""
    return torch.cat([normalize(text, dim=-1), normalize(image, dim=-1)], -1) / math.sqrt(2)


def contrast_weights(
    winner: Float[Tensor, "n e"], loser: Float[Tensor, "n e"], tau: float
) -> Float[Tensor, "n n"]:
    r"""How much winner i is compared with loser j; each row sums to 1.

    $$ w_{ij} = \mathrm{softmax}_j \left( -(1 - \cos(e_{w,i}, e_{l,j})) / \tau \right) $$
    """
    with torch.autocast(winner.device.type, enabled=False):
        cosine = normalize(winner.float(), dim=-1) @ normalize(loser.float(), dim=-1).T
        return torch.softmax(-(1 - cosine) / tau, dim=-1)


def gradient_field(
    divergence: Divergence, beta: float, s_w: Float[Tensor, "*any"], s_l: Float[Tensor, "*any"]
) -> tuple[Float[Tensor, "*any"], Float[Tensor, "*any"]]:
    r"""The gradient of one pair's f-DPO loss in the plane of its log-ratios.

    $$ \partial L/\partial s_w = -\beta\,\sigma(-\beta\Delta)\,h'(s_w), \qquad
       \partial L/\partial s_l = +\beta\,\sigma(-\beta\Delta)\,h'(s_l) $$

    Divided by $u = e^s$ they are the components over the density ratios.
    """
    push = beta * torch.sigmoid(-beta * (divergence.h(s_w) - divergence.h(s_l)))
    return -push * divergence.slope(s_w), push * divergence.slope(s_l)


# --- objectives --------------------------------------------------------------------------------


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
        loss = errors.policy_winner.mean()
        return ObjectiveOutput(loss, {"loss": loss.detach()})


@final
@objectives.register()
class FDPO(Objective):
    r"""Direct preference optimisation under an f-divergence.

    $$ L = E[-\log\sigma(\beta\,(h(s_w) - h(s_l)))] $$

    arXiv 2309.16240 for language models, arXiv 2409.09774 for images.

    Args:
        divergence: What holds the policy near the reference.
        beta: Its weight, in units of reward per nat at slope 1.

    Raises:
        ValueError: If beta is not positive.
    """

    name = "f_dpo"
    value_at_reference = math.log(2)
    uses_reference = True
    paired = True
    couples_batch = False

    def __init__(self, divergence: Divergence, beta: float) -> None:
        self.divergence, self.beta = divergence, _positive("beta", beta)

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        f, beta = self.divergence, self.beta
        s_w, s_l = errors.log_ratios()
        loss = bradley_terry_loss(beta * (f.h(s_w) - f.h(s_l))).mean()
        return ObjectiveOutput(loss, {"loss": loss.detach(), **preference_logs(f, beta, s_w, s_l)})


@objectives.register()
def diffusion_dpo(beta: float) -> FDPO:
    """Diffusion-DPO: f_dpo under reverse KL (arXiv 2311.12908)."""
    return FDPO(ReverseKL(), beta)


@final
@objectives.register()
class RPO(Objective):
    r"""Relative preference optimisation: every winner against every loser of the batch.

    $$ L = \frac{1}{N^2} \sum_{ij} -\log\sigma(\beta\,w_{ij}\,(h(s_{w,i}) - h(s_{l,j}))) $$

    with the rows of w, from `contrast_weights`, times N. Off the diagonal the preference is assumed,
    not observed, and the prompts' normalisers do not cancel: a regulariser, not a likelihood. With
    N = 1 it is f_dpo to the bit. arXiv 2406.06382 for images, arXiv 2402.10958 for language models;
    what the papers leave open: docs/decisions/rpo-weights.md.

    Args:
        divergence: What holds the policy near the reference.
        beta: Its weight; on the diagonal it acts as `beta N w_ii`, logged as `diagonal_beta`.
        tau: Temperature of the weights: small compares only the most alike, large all equally.
        weight: `inside` the sigmoid, or `outside` as the weights of a mean of plain losses.
        normalisation: Rows of w sum to N (`row*N`) or to 1 (`row`). Outside, a mean has no use for
            it and both are one loss.

    Raises:
        ValueError: If beta or tau is not positive, or an option is unknown.
    """

    name = "rpo"
    value_at_reference = math.log(2)
    uses_reference = True
    paired = True
    couples_batch = True

    def __init__(
        self,
        divergence: Divergence,
        beta: float,
        tau: float = 0.5,
        weight: str = "inside",
        normalisation: str = "row*N",
    ) -> None:
        self.divergence, self.beta = divergence, _positive("beta", beta)
        self.tau = _positive("tau", tau)
        self.weight = _one_of("weight", weight, ("inside", "outside"))
        self.normalisation = _one_of("normalisation", normalisation, ("row*N", "row"))

    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        f, beta = self.divergence, self.beta
        s_w, s_l = errors.log_ratios()
        w = contrast_weights(*errors.embeddings(), self.tau)
        if self.weight == "outside" or self.normalisation == "row*N":
            w = w * w.shape[-1]
        delta = f.h(s_w)[..., :, None] - f.h(s_l)[..., None, :]  # i: winners, j: losers
        if self.weight == "inside":
            loss = bradley_terry_loss(beta * w * delta).mean()
        else:
            loss = (w * bradley_terry_loss(beta * delta)).mean()
        logs = preference_logs(f, beta, s_w, s_l)
        diagonal_beta = beta * w.detach().diagonal().mean()
        return ObjectiveOutput(loss, {"loss": loss.detach(), **logs, "diagonal_beta": diagonal_beta})


def _positive(name: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is a positive number, got {value}")
    return float(value)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(allowed)}, got {value!r}")
    return value
