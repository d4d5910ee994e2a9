"""Recipes for Stable Diffusion 3.5 medium: Flow-GRPO's public Diffusion-DPO of it, and RPO with its settings.

Flow-GRPO minimises Diffusion-DPO's loss of errors that are means over the latents, at a beta of 100, which is
`log_ratio_scale` times beta of 50 here.
"""

from collections.abc import Mapping
from typing import Any, Final

from trainers.presets.base import RPO_IS_OURS, Preset

BETA_DPO: Final = 100
"""`config.train.beta` of its DPO."""

# yifan123/flow_grpo at ac4c86e: config/dpo.py and config/base.py, scripts/train_sd3_dpo.py.
_FLOW_GRPO: Mapping[str, Any] = {
    "base": "sd35_medium",
    "data": "yuvalkirstain/pickapic_v2",
    "lora_rank": 32,
    "lora_targets": "attention",
    "steps": 600,
    "batch_size": 8,
    # 0.99 of 40 sampling steps: so many times of each pair before an update.
    "draws": 39,
    "micro_batches": 8,
    "lr": 3e-4,
    "lr_schedule": "constant",
    "warmup": 0,
    "weight_decay": 1e-4,
    "max_grad_norm": 1.0,
    "gradient_checkpointing": True,
    "t_density": "logit_normal(mean=0, std=1, shift='model')",
    "log_ratio_scale": BETA_DPO / 2,
    "beta": 1.0,
    "ties": "drop",
    "crop": "centre",
    "save_every": 60,
}
_SOURCE = "yifan123/flow_grpo, config/dpo.py and scripts/train_sd3_dpo.py at ac4c86e"
_OURS = (
    "steps, batch size and data are ours: there each device makes one pair an update, the best and the worst "
    "of 24 images of the policy's own at 512 pixels, and no number of steps is given; alpha is twice the "
    "rank there, ours is the rank; it averages the weights over steps. Flow-Factory, "
    "examples/dpo/lora/sd3_5/default.yaml, reports that rates of 1e-4 and 3e-4 collapse: watch the held-out "
    "loss"
)

SD3: tuple[Preset, ...] = (
    Preset(
        "flow-dpo-sd35-medium",
        "Diffusion-DPO's loss on the velocity of Stable Diffusion 3.5 medium, as Flow-GRPO has it",
        {**_FLOW_GRPO, "objective": "diffusion_dpo"},
        _SOURCE,
        None,
        _OURS,
    ),
    Preset(
        "rpo-sd35-medium",
        "Diffusion-RPO on Stable Diffusion 3.5 medium",
        {**_FLOW_GRPO, "objective": "rpo", "divergence": "reverse_kl"},
        "arXiv 2406.06382, settings unknown; those of flow-dpo-sd35-medium",
        None,
        f"no RPO of a flow model is known to us; {RPO_IS_OURS}; {_OURS}",
    ),
)
