"""Recipes for Qwen-Image: the one public preference training of it, and RPO with its settings.

verl-omni minimises Diffusion-DPO's loss of errors that are means over the latents, at a beta of 100, which is
`log_ratio_scale` times beta of 50 here.
"""

from collections.abc import Mapping
from typing import Any, Final

from trainers.presets.base import RPO_IS_OURS, Preset

BETA_DPO: Final = 100
"""verl-omni's `dpo_beta`."""

# verl-project/verl-omni, examples/dpo_trainer/qwen_image/run_qwen_image_online_dpo_lora_v1.sh.
_QWEN_IMAGE: Mapping[str, Any] = {
    "base": "qwen_image",
    "data": "yuvalkirstain/pickapic_v2",
    "lora_rank": 64,
    "lora_targets": "all",
    # 300 rounds of 32 prompts, a pair of each, in updates of 16.
    "steps": 600,
    "batch_size": 16,
    "micro_batches": 16,
    "draws": 1,
    "lr": 3e-4,
    "lr_schedule": "constant",
    "warmup": 0,
    "weight_decay": 1e-4,
    "gradient_checkpointing": True,
    "t_density": "logit_normal(mean=0, std=1, shift=1)",
    "log_ratio_scale": BETA_DPO / 2,
    "beta": 1.0,
    "ties": "drop",
    "crop": "centre",
    "save_every": 40,
}
_SOURCE = "verl-project/verl-omni, examples/dpo_trainer/qwen_image/run_qwen_image_online_dpo_lora_v1.sh"
_OURS = (
    "theirs makes its pairs as it trains, the best and the worst of 16 images by an OCR reward, without "
    "guidance in 35 steps; pairs of Pick-a-Pic are ours. Its LoRA has alpha 128, ours alpha equal to the "
    "rank; it leaves out the two layers of a block that read the time"
)

QWEN_IMAGE: tuple[Preset, ...] = (
    Preset(
        "flow-dpo-qwen-image",
        "Diffusion-DPO's loss on Qwen-Image's velocity, as verl-omni has it",
        {**_QWEN_IMAGE, "objective": "diffusion_dpo"},
        _SOURCE,
        None,
        _OURS,
    ),
    Preset(
        "rpo-qwen-image",
        "Diffusion-RPO on Qwen-Image",
        {**_QWEN_IMAGE, "objective": "rpo", "divergence": "reverse_kl"},
        "arXiv 2406.06382, settings unknown; those of flow-dpo-qwen-image",
        None,
        f"no RPO of a flow model is known to us; {RPO_IS_OURS}; {_OURS}",
    ),
)
