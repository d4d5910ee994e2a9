r"""Recipes for Stable Diffusion on Pick-a-Pic, as published; what was not published is said to be unknown.

Diffusion-DPO's release minimises $-\log\sigma(-\tfrac12 \beta_{dpo} (\delta_w - \delta_l))$ with
$\delta = m_\theta - m_{ref}$, errors that are means over the latent's elements. Ours is
$-\log\sigma(\beta (s_w - s_l))$ with $s = -\kappa \delta$, so that

$$ \kappa \beta = \beta_{dpo} / 2, $$

and under reverse KL nothing but this product matters. Its 5,000 is kappa 2,500 at beta 1, exactly. `auto`
would be 2,457.6 at SD1.5 and 9,830.4 at SDXL, where the same 2,500 is beta 1.0173 and 0.2543.
"""

from collections.abc import Mapping
from typing import Any

from trainers.presets.base import RPO_IS_OURS, Expected, Preset
from trainers.presets.shapes import DIVERGENCES

BETA_DPO = 5000
"""Diffusion-DPO's `--beta_dpo`, in the launchers of both models."""

# SalesforceAIResearch/DiffusionDPO, launchers/sd15.sh and the defaults of train.py.
_DIFFUSION_DPO: Mapping[str, Any] = {
    "data": "yuvalkirstain/pickapic_v2",
    "lora_rank": "full",
    "steps": 2000,
    "batch_size": 2048,
    # 128 in the launchers, on 16 GPUs with a pair each; on one GPU this is 16 pairs at a time.
    "micro_batches": 128,
    "draws": 1,
    # --learning_rate 1e-8 --scale_lr: times the effective batch of 2048.
    "lr": 2.048e-5,
    "lr_schedule": "constant",
    "warmup": 500,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "prompt_dropout": 0.2,
    "ties": "drop",
    "crop": "centre",
    "flip": True,
    "save_every": 500,
}
_SD15: Mapping[str, Any] = {**_DIFFUSION_DPO, "base": "sd15", "optimizer": "adamw"}
_SDXL: Mapping[str, Any] = {
    **_DIFFUSION_DPO,
    "base": "sdxl",
    "optimizer": "adafactor",
    "gradient_checkpointing": True,
    "warmup": 200,
    "save_every": 200,
}
_AS_RELEASED: Mapping[str, Any] = {
    "objective": "diffusion_dpo",
    "log_ratio_scale": BETA_DPO / 2,
    "beta": 1.0,
}

_DPO_SOURCE = "arXiv 2311.12908; SalesforceAIResearch/DiffusionDPO, {launcher}"
_RATE = (
    "lr is the launcher's 1e-8 with --scale_lr, times 2048; the paper's formula gives less than 1e-8 at that "
    "beta, an open question of that repository (issue 12)"
)
_OURS = (
    "the release mirrors winner and loser each by itself, ours both or neither; it computes in fp16, ours in "
    "bf16 where the hardware has it"
)
_F_DPO_SOURCE = "arXiv 2409.09774, settings unknown; those of diffusion-dpo-sd15"
_F_DPO_NOTE = (
    "scale auto and beta 1 are ours, 1.7 % below Diffusion-DPO's product of 2,500; under any divergence but "
    "reverse KL the two are separate knobs"
)
_RPO_SOURCE = "arXiv 2406.06382, settings unknown; those of diffusion-dpo-{base}"
_RPO_NOTE = (
    f"the repository that the paper names, yigu1008/Diffusion-RPO, holds a README and no code; {RPO_IS_OURS}"
)

PUBLISHED: tuple[Preset, ...] = (
    Preset(
        "diffusion-dpo-sd15",
        "Diffusion-DPO's recipe for Stable Diffusion 1.5",
        {**_SD15, **_AS_RELEASED},
        _DPO_SOURCE.format(launcher="launchers/sd15.sh"),
        Expected(
            {"imagereward": 0.297, "hps": 0.261, "pickscore": 20.948, "aesthetic": 5.549, "clip": 0.279},
            "the authors' checkpoint on Pick-a-Pic v2's test prompts, in Semi-DPO, arXiv 2604.24952; the "
            "base there: 0.085, 0.250, 20.566, 5.421, 0.273",
        ),
        f"{_RATE}; {_OURS}",
    ),
    Preset(
        "diffusion-dpo-sdxl",
        "Diffusion-DPO's recipe for Stable Diffusion XL",
        {**_SDXL, **_AS_RELEASED},
        _DPO_SOURCE.format(launcher="launchers/sdxl.sh"),
        None,
        f"the step of the published checkpoint is unknown, its VAE is madebyollin/sdxl-vae-fp16-fix; "
        f"{_RATE}; {_OURS}",
    ),
    *(
        Preset(
            f"f-dpo-sd15-{name}",
            f"f-DPO on Stable Diffusion 1.5 under {words}",
            {**_SD15, "objective": "f_dpo", "divergence": divergence, "beta": 1.0, "log_ratio_scale": "auto"},
            _F_DPO_SOURCE,
            None,
            _F_DPO_NOTE,
        )
        for name, (divergence, words) in DIVERGENCES.items()
    ),
    *(
        Preset(
            f"rpo-{base}",
            f"Diffusion-RPO on Stable Diffusion {words}",
            {**settings, **_AS_RELEASED, "objective": "rpo", "divergence": "reverse_kl"},
            _RPO_SOURCE.format(base=base),
            None,
            _RPO_NOTE,
        )
        for base, words, settings in (("sd15", "1.5", _SD15), ("sdxl", "XL", _SDXL))
    ),
)
