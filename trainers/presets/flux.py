r"""Recipes for FLUX.1 [dev]; what was not published is said to be unknown.

Flow-Factory's trainer of Diffusion-DPO minimises $-\log\sigma(-\tfrac12 \beta (\delta_w - \delta_l))$ with
errors that are means over the latent's elements, so kappa beta is half of its beta, as in `published`.
"""

from collections.abc import Mapping
from typing import Any

from trainers.presets.base import RPO_IS_OURS, Preset

BETA = 2000
"""Of Flow-Factory's example for FLUX.1 [dev]."""

# X-GenGroup/Flow-Factory, examples/dpo/lora/flux1.yaml and the defaults of its trainer.
_FLOW_FACTORY: Mapping[str, Any] = {
    "base": "flux1_dev",
    "data": "yuvalkirstain/pickapic_v2",
    "log_ratio_scale": BETA / 2,
    "beta": 1.0,
    "lora_rank": 64,
    "lora_targets": "all",
    "steps": 2000,
    # Eight devices with two pairs each, 28 times of each pair before a step.
    "batch_size": 16,
    "draws": 28,
    "micro_batches": 16,
    "t_density": "logit_normal(mean=0, std=1, shift=1)",
    "lr": 1e-6,
    "lr_schedule": "constant",
    "warmup": 0,
    "weight_decay": 1e-4,
    "max_grad_norm": 1.0,
    "ties": "drop",
    "gradient_checkpointing": True,
    "save_every": 500,
}
_SOURCE = "X-GenGroup/Flow-Factory, examples/dpo/lora/flux1.yaml at e27adc9"
_NOTE = (
    "steps and data are ours: there pairs are the best and the worst of 4 images of the policy's own, by "
    "PickScore, at 512 pixels, no number of steps is given, and an average of the weights is kept (0.995, "
    "every 10 rounds); alpha is twice the rank there, ours is the "
    "rank; layers of modulation and of the single blocks' feed-forward part have no adapter there; that "
    "trainer, as read at 0acf8b5, compares the velocity with the noise alone, ours with noise less image"
)

FLUX: tuple[Preset, ...] = (
    Preset(
        "flow-dpo-flux",
        "Diffusion-DPO on FLUX.1 [dev]",
        {**_FLOW_FACTORY, "objective": "diffusion_dpo"},
        _SOURCE,
        None,
        _NOTE,
    ),
    Preset(
        "rpo-flux",
        "Diffusion-RPO on FLUX.1 [dev]",
        {**_FLOW_FACTORY, "objective": "rpo", "divergence": "reverse_kl"},
        "arXiv 2406.06382, which has no flow model: settings unknown; those of flow-dpo-flux",
        None,
        f"no RPO of a flow model is known to us; {RPO_IS_OURS}; {_NOTE}",
    ),
)
