r"""The equations that objectives share; notation as in `trainers.objectives`."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from benchmark.core.errors import UserError
from trainers.divergences import Divergence


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
