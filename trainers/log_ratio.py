r"""The proxy log-ratio of a diffusion model: from prediction errors to s, and to what objectives see.

The density ratio of an image is out of reach, so that of its denoising at one (t, noise) stands for
it: $s = -\kappa\,(m_\theta - m_{\mathrm{ref}})$ in nats, with $m$ the prediction error and $\kappa$
the log-ratio scale. Winner and loser of a pair share t and noise, policy and reference always do.

For reverse KL only $\kappa \beta$ matters; for every other divergence they are two knobs: see
docs/decisions/log-ratio-scale-and-beta.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.objectives import PairErrors, Predictions

AUTO_SCALE_PER_DIMENSION = 0.15
"""`auto`: the 2,500 of the public Diffusion-DPO recipe over SD1.5's 16,384 latent dimensions."""


def prediction_error(
    prediction: Float[Tensor, "*batch c h w"], target: Float[Tensor, "*batch c h w"]
) -> Float[Tensor, "*batch"]:
    r"""How far a prediction is from its target.

    $$ m = \frac{1}{CHW} \sum_{c,h,w} (\mathrm{target} - \mathrm{prediction})^2 $$

    Args:
        prediction: The network's output, in any precision.
        target: Whatever the model predicts, such as noise, v, velocity or clean latents.

    Returns:
        m in float32, also under autocast: s is a small difference of such numbers.
    """
    return (target.float() - prediction.float()).square().mean(dim=(-3, -2, -1))


def prediction_drift(
    policy: Float[Tensor, "*batch c h w"], reference: Float[Tensor, "*batch c h w"]
) -> Float[Tensor, "*batch"]:
    r"""How far the policy's prediction has moved, detached.

    $$ d = \|\epsilon_\theta - \epsilon_{\mathrm{ref}}\|^2 / CHW $$

    It is the mean of $m_\theta - m_{\mathrm{ref}}$ over the reference's own samples.
    """
    return prediction_error(policy, reference).detach()


def log_ratio(
    policy_error: Float[Tensor, "*batch"],
    reference_error: Float[Tensor, "*batch"],
    scale: float | Float[Tensor, "..."],
    drift: Float[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch"]:
    r"""The proxy of $\log p_\theta / p_{\mathrm{ref}}$, in nats.

    $$ s = -\kappa\,(m_\theta - m_{\mathrm{ref}} - d) $$

    Args:
        policy_error: $m_\theta$.
        reference_error: $m_{\mathrm{ref}}$, at the same t and noise; no gradient flows into it.
        scale: $\kappa > 0$; `log_ratio_scale` makes it from a setting. One for each sample where it depends
            on the timestep, as in `benchmark.models.steps`.
        drift: $d$ of `prediction_drift` for the centre `drift`, which leaves of s the part with mean
            zero under the reference; None for the centre `none`, $d = 0$.

    Raises:
        TypeError: If an error is in half precision.
    """
    for error in (policy_error, reference_error):
        if error.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"prediction errors are float32 or float64, got {error.dtype}")
    delta = policy_error - reference_error.detach()
    if drift is not None:
        delta = delta - drift.detach()
    return -scale * delta


@dataclass(frozen=True, eq=False)
class PolicyAndReference:
    r"""What policy and reference said of the same pairs, (t, noise) and sides; side 0 are the winners.

    Attributes:
        policy: $m_\theta$.
        reference: $m_{\mathrm{ref}}$; None where nobody needs it.
        drift: $d$ of the centre `drift`; None for the centre `none`.
        predictions: The vectors behind the errors, sides first; None where nobody needs them.
        scale: What the log-ratio scale is multiplied by, where it depends on the timestep.
        weight: How much the pairs count; None where all count alike.
    """

    policy: Float[Tensor, "sides draws n"]
    reference: Float[Tensor, "2 draws n"] | None
    drift: Float[Tensor, "2 draws n"] | Float[Tensor, "sides draws n"] | None = None
    predictions: Predictions | None = None
    scale: Float[Tensor, "draws n"] | None = None
    weight: Float[Tensor, " n"] | None = None


def pair_errors(
    both: PolicyAndReference,
    scale: float | None,
    embeddings: tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]] | None = None,
) -> PairErrors:
    r"""What an objective sees of pairs: errors, log-ratios $s_w$ and $s_l$, embeddings, predictions.

    Args:
        both: What the networks said.
        scale: $\kappa$; None for objectives without a reference.
        embeddings: $e_w$ and $e_l$, for objectives that need them.
    """
    sides = both.policy.shape[0]
    m_w, m_l = both.policy[0], both.policy[1] if sides == 2 else None
    s_w = s_l = None
    if scale is not None and both.reference is not None:
        kappa = scale if both.scale is None else scale * both.scale
        s = log_ratio(both.policy, both.reference[:sides], kappa, both.drift)
        s_w, s_l = s[0], s[1] if sides == 2 else None
    e_w, e_l = embeddings or (None, None)
    v_w, v_l = _by_side(both.predictions, sides)
    return PairErrors(m_w, m_l, s_w, s_l, e_w, e_l, v_w, v_l, both.weight)


def _by_side(both: Predictions | None, sides: int) -> tuple[Predictions | None, Predictions | None]:
    """Winner's and loser's predictions, from those with the side as their first axis."""
    if both is None:
        return None, None
    each = [
        Predictions(
            both.policy[side], None if both.reference is None else both.reference[side], both.target[side]
        )
        for side in range(sides)
    ]
    return each[0], each[1] if sides == 2 else None


def log_ratio_scale(setting: float | Literal["auto"], latent_shape: Sequence[int]) -> float:
    r"""The scale $\kappa$ that a setting means.

    Args:
        setting: A positive number, or `auto` for $0.15\,D$ with $D = CHW$.
        latent_shape: C, H, W of the latents.

    Raises:
        ValueError: If a number is not positive and finite.

    Example:
        >>> log_ratio_scale("auto", (4, 64, 64))
        2457.6
        >>> log_ratio_scale(2500.0, (4, 64, 64))
        2500.0
    """
    if setting == "auto":
        return AUTO_SCALE_PER_DIMENSION * math.prod(latent_shape)
    if not 0 < setting < math.inf:
        raise ValueError(f"the log-ratio scale is a positive number or auto, got {setting}")
    return float(setting)
