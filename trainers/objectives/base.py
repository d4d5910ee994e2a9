r"""Objectives: what they take and give, the interface, the equations they share and what they log."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from benchmark.core.errors import UserError
from benchmark.core.registry import Registry
from trainers.divergences import Divergence, divergences

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Predictions:
    """What the networks said, for objectives that need the vectors; float32.

    Attributes:
        policy: Prediction of the policy; the loss may depend on it as on the errors.
        reference: Prediction of the reference; None without one.
        target: What both should have said, in the base model's terms, such as noise or velocity.
    """

    policy: Float[Tensor, "*draws n c h w"]
    reference: Float[Tensor, "*draws n c h w"] | None
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
        predictions_winner: The vectors behind the errors; None unless the objective needs them.
        predictions_loser: Likewise.
        weight: How much each pair counts; None where all count alike.
    """

    policy_winner: Float[Tensor, "*draws n"]
    policy_loser: Float[Tensor, "*draws n"] | None = None
    log_ratio_winner: Float[Tensor, "*draws n"] | None = None
    log_ratio_loser: Float[Tensor, "*draws n"] | None = None
    embedding_winner: Float[Tensor, "n e"] | None = None
    embedding_loser: Float[Tensor, "n e"] | None = None
    predictions_winner: Predictions | None = None
    predictions_loser: Predictions | None = None
    weight: Float[Tensor, " n"] | None = None

    def policy_errors(self) -> tuple[Float[Tensor, "*draws n"], Float[Tensor, "*draws n"]]:
        r"""$m_\theta(x_w), m_\theta(x_l)$; a ValueError where the losers are missing."""
        return self._both("policy_winner", "policy_loser")

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
        couples_batch: Whether pairs of one batch meet in the loss, so that several processes must gather
            log-ratios and embeddings, with gradients, before it.
        needs_embeddings: Whether it needs CLIP embeddings of the pairs.
        needs_predictions: Whether it needs the networks' predictions, not only their errors. The loss is then
            differentiated with respect to both.
    """

    name: str
    value_at_reference: float | None
    uses_reference: bool
    paired: bool
    couples_batch: bool
    needs_embeddings: bool = False
    needs_predictions: bool = False

    @abstractmethod
    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        """Loss and logs of one batch; ValueError if the record lacks what the objective needs."""


objectives: Registry[Objective] = Registry(
    "objective", group="fbench.objectives", modules=("trainers.objectives",), states=Objective
)


# --- equations that objectives share ---------------------------------------------------------------


def bradley_terry_loss(logits: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    r"""$-\log\sigma(\mathrm{logit})$, the negative log-likelihood of the observed preference."""
    return -logsigmoid(logits)


def weighted_mean(losses: Float[Tensor, "*any"], weight: Float[Tensor, "*some"] | None) -> Float[Tensor, ""]:
    r"""$\sum w\,l / \sum w$, the plain mean where there are no weights.

    Args:
        losses: l.
        weight: w >= 0, in a shape that broadcasts to that of the losses.
    """
    if weight is None:
        return losses.mean()
    spread = weight.expand_as(losses)
    return (spread * losses).sum() / spread.sum()


def as_divergence(given: Divergence | str) -> Divergence:
    """A divergence, or the one that a text names, such as `alpha(a=0.5)`.

    Raises:
        UserError: If nobody registered the name.
    """
    return divergences.create(given) if isinstance(given, str) else given


def slope_matched_beta(beta: float, divergence: Divergence) -> float:
    r"""$\beta / |f''(1)|$: with it every divergence starts as reverse KL at beta does.

    Where f is convex $f''(1)$ is positive; of an unchecked one the sign of h is kept, not turned round.

    Raises:
        UserError: If $f''(1)$ is 0 or no number.
    """
    slope = abs(divergence.slope_at_1)
    if not (slope > 0 and math.isfinite(slope)):
        raise UserError(f"f''(1) of {divergence!r} is {slope:g}", do="train it without --slope-matched")
    return beta / slope


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


def positive(name: str, value: float) -> float:
    """The value, or a ValueError that names it."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is a positive number, got {value}")
    return float(value)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """The value, or a ValueError that names it."""
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(allowed)}, got {value!r}")
    return value


# --- what a preference step logs ------------------------------------------------------------------
# s for winners and losers apart: its level decides how a divergence acts, not only its spread. On the
# reference's own samples s drifts below 0 for both, and there Jensen-Shannon, for one, is nearly reverse KL.


def log_ratio_summary(divergence: Divergence, s: Float[Tensor, "*any"]) -> dict[str, Float[Tensor, ""]]:
    """Where a run stands on its divergence: s in nats, effective slope, share beyond the knee."""
    s = s.detach()
    levels = torch.quantile(s.flatten(), torch.tensor(QUANTILES, dtype=s.dtype, device=s.device))
    return {
        "s_mean": s.mean(),
        **{f"s_q{round(100 * q):02d}": level for q, level in zip(QUANTILES, levels, strict=True)},
        "slope_mean": divergence.slope(s).mean(),
        "beyond_knee": divergence.beyond_knee(s),
    }


def margin_logs(margin: Float[Tensor, "*any"]) -> dict[str, Float[Tensor, ""]]:
    """The mean `margin` by which winners win, and the `accuracy`: the share that does, ties half."""
    margin = margin.detach()
    won = (margin > 0).to(margin.dtype) + (margin == 0).to(margin.dtype) / 2
    return {"margin": margin.mean(), "accuracy": won.mean()}


def preference_logs(
    divergence: Divergence, beta: float, s_w: Float[Tensor, "*any"], s_l: Float[Tensor, "*any"]
) -> dict[str, Float[Tensor, ""]]:
    r"""The summaries of winner and loser apart, and `margin_logs` of the margin $\beta\Delta$."""
    return {
        **margin_logs(beta * (divergence.h(s_w.detach()) - divergence.h(s_l.detach()))),
        **{f"winner/{k}": v for k, v in log_ratio_summary(divergence, s_w).items()},
        **{f"loser/{k}": v for k, v in log_ratio_summary(divergence, s_l).items()},
    }
