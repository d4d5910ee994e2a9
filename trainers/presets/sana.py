"""Recipes for SANA, of which nobody has published preference training: the settings of a neighbour's.

Flow-GRPO's Diffusion-DPO of Stable Diffusion 3.5 has a beta of 100 over errors that are means, which is
`log_ratio_scale` times beta of 50 here, and a rate of 3e-4, which Flow-Factory reports to collapse.
"""

from collections.abc import Mapping
from typing import Any, Final

from trainers.presets.base import RPO_IS_OURS, UNKNOWN, Preset

BETA_DPO: Final = 100
"""`config.train.beta` of Flow-GRPO's DPO."""

# Flow-Factory's recipe for Stable Diffusion 3.5 says that 1e-4 and 3e-4 collapse, and uses 1e-5.
_SANA: Mapping[str, Any] = {
    "base": "sana",
    "data": "yuvalkirstain/pickapic_v2",
    "lora_rank": 32,
    "lora_targets": "all",
    "steps": 600,
    "batch_size": 16,
    "micro_batches": 4,
    "draws": 1,
    "lr": 1e-5,
    "lr_schedule": "constant",
    "warmup": 0,
    "gradient_checkpointing": True,
    "t_density": "logit_normal(mean=0, std=1, shift='model')",
    "log_ratio_scale": BETA_DPO / 2,
    "beta": 1.0,
    "ties": "drop",
    "crop": "centre",
    "save_every": 60,
}
_SOURCE = (
    f"for SANA {UNKNOWN}: nobody has published preference training of it. Beta, rank and density as in "
    "yifan123/flow_grpo, config/dpo.py and scripts/train_sd3_dpo.py, lr as in X-GenGroup/Flow-Factory, "
    "examples/dpo/lora/sd3_5/default.yaml"
)
_OURS = (
    "steps and batch size are ours; sigma is shifted towards noise as SANA's own training had it "
    "(arXiv 2410.10629); what it gives was never measured"
)

SANA: tuple[Preset, ...] = (
    Preset(
        "flow-dpo-sana",
        "Diffusion-DPO's loss on SANA's velocity",
        {**_SANA, "objective": "diffusion_dpo"},
        _SOURCE,
        None,
        _OURS,
    ),
    Preset(
        "rpo-sana",
        "Diffusion-RPO on SANA",
        {**_SANA, "objective": "rpo", "divergence": "reverse_kl"},
        "arXiv 2406.06382, settings unknown; those of flow-dpo-sana",
        None,
        f"no RPO of a flow model is known to us; {RPO_IS_OURS}; {_OURS}",
    ),
)
