"""Recipes on the embedded world: one for each objective and divergence, and those that teach it a style.

Among those of preferences nothing but objective and divergence differs, and all divergences start alike.
Among those of styles these and the number of steps differ. They are the style alignment of Diffusion-RPO in
small, renders in the style against samples of the base model; their settings were chosen on validation
prompts so that the style is seen, see results/LOG.md.
"""

from collections.abc import Mapping
from typing import Any

from trainers.presets.base import Expected, Preset

_SOURCE = "fbench"

_BASE: Mapping[str, Any] = {
    "base": "shapes",
    "data": "shapes-prefs",
    "lora_rank": 16,
    "lora_targets": "all",
    "steps": 100,
    "batch_size": 64,
    "draws": 1,
    "lr": 5e-4,
    "lr_schedule": "constant",
    "warmup": 10,
    "save_every": 50,
    # Many pairs and few draws of each: pairs differ more than draws do.
    "held_out_pairs": 256,
    "held_out_draws": 4,
}
_PAIRED: Mapping[str, Any] = {**_BASE, "beta": 0.3, "log_ratio_scale": "auto"}

DIVERGENCES: Mapping[str, tuple[str, str]] = {
    "reverse-kl": ("reverse_kl", "reverse KL, which is Diffusion-DPO"),
    "forward-kl": ("forward_kl", "forward KL"),
    "jensen-shannon": ("jensen_shannon", "the Jensen-Shannon divergence"),
    "alpha": ("alpha(a=0.5)", "alpha 0.5, half-way between reverse and forward KL"),
    "jeffreys": ("jeffreys", "Jeffreys' divergence, reverse plus forward KL"),
    "pearson-chi2": ("pearson_chi2", "Pearson's chi-squared"),
    "chi2-kl": ("chi2_kl", "chi-squared plus KL, as in chi-PO"),
}
"""What f-DPO's recipes are named after; squared Hellinger at beta is alpha(0.5) at beta/2, to the bit."""

_NOTES: Mapping[str, str] = {
    "pearson-chi2": "f'(0+) is finite: its closed form needs a beta above half the spread of the reward"
}

_MEASURED = "results/evaluation, means of five training seeds against the base"
_EXPECTED: Mapping[str, Expected] = {
    "reverse-kl": Expected(
        {
            "held_out_loss": 0.624,
            "true_taste_difference": 0.098,
            "true_diversity_difference": -0.037,
            "oracle_difference": 0.008,
        },
        _MEASURED,
    ),
    "jensen-shannon": Expected(
        {
            "held_out_loss": 0.656,
            "true_taste_difference": 0.068,
            "true_diversity_difference": -0.015,
            "oracle_difference": 0.008,
        },
        _MEASURED,
    ),
}

SHAPES: tuple[Preset, ...] = (
    Preset("shapes-sft", "fine-tuning on the preferred images alone", {**_BASE, "objective": "sft"}, _SOURCE),
    *(
        Preset(
            f"shapes-f-dpo-{name}",
            f"f-DPO under {words}",
            {**_PAIRED, "slope_matched": True, "objective": "f_dpo", "divergence": divergence},
            _SOURCE,
            _EXPECTED.get(name),
            note=_NOTES.get(name, ""),
        )
        for name, (divergence, words) in DIVERGENCES.items()
    ),
    Preset(
        "shapes-rpo",
        "Diffusion-RPO: every preferred image against every rejected one",
        {**_PAIRED, "objective": "rpo", "divergence": "reverse_kl"},
        _SOURCE,
    ),
)

_FLOW: Mapping[str, Any] = {**_PAIRED, "base": "shapes_flow"}
_FLOW_MEASURED = "results/flow, one training seed against the base on 96 prompts"
_FLOW_EXPECTED: Mapping[str, Expected] = {
    "f-dpo-reverse-kl": Expected(
        {
            "held_out_loss": 0.616,
            "true_taste_difference": 0.052,
            "true_diversity_difference": -0.019,
            "oracle_difference": 0.014,
        },
        _FLOW_MEASURED,
    ),
    "f-dpo-jensen-shannon": Expected(
        {
            "held_out_loss": 0.634,
            "true_taste_difference": 0.029,
            "true_diversity_difference": -0.047,
            "oracle_difference": 0.010,
        },
        _FLOW_MEASURED,
    ),
    "rpo": Expected(
        {
            "held_out_loss": 0.665,
            "true_taste_difference": 0.024,
            "true_diversity_difference": -0.014,
            "oracle_difference": 0.0,
        },
        _FLOW_MEASURED,
    ),
}

SHAPES_FLOW: tuple[Preset, ...] = (
    *(
        Preset(
            f"shapes-flow-f-dpo-{name}",
            f"f-DPO of the embedded flow-matching model under {words}",
            {**_FLOW, "slope_matched": True, "objective": "f_dpo", "divergence": divergence},
            _SOURCE,
            _FLOW_EXPECTED.get(f"f-dpo-{name}"),
            note=_NOTES.get(name, ""),
        )
        for name, (divergence, words) in DIVERGENCES.items()
    ),
    Preset(
        "shapes-flow-rpo",
        "Diffusion-RPO of the embedded flow-matching model",
        {**_FLOW, "objective": "rpo", "divergence": "reverse_kl"},
        _SOURCE,
        _FLOW_EXPECTED.get("rpo"),
    ),
)
"""Settings of the UNet's recipes, unless the flow model asks for others."""


# --- styles ----------------------------------------------------------------------------------------


_STYLE_SOURCE = "fbench; the task: style alignment of arXiv 2406.06382"

_STYLE_BASE: Mapping[str, Any] = {
    "base": "shapes",
    "lora_rank": 16,
    "lora_targets": "all",
    "batch_size": 24,
    "draws": 1,
    "lr": 5e-4,
    "lr_schedule": "constant",
    "warmup": 5,
    "held_out_pairs": 30,
    "held_out_draws": 4,
}
_STYLE_PAIRED: Mapping[str, Any] = {"beta": 0.3, "log_ratio_scale": "auto"}
_STYLE_STEPS: Mapping[str, int] = {"van_gogh": 20, "sketch": 30, "winter": 30}
_QUICK: Mapping[tuple[str, str], int] = {("diffusion-dpo", "van_gogh"): 10, ("f-dpo", "van_gogh"): 10}
"""Where the style is read on most pictures after half of the steps, and more would only lose content."""
_METHODS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "sft": ({"objective": "sft"}, "fine-tuning on the preferred renders alone"),
    "diffusion-dpo": (
        {**_STYLE_PAIRED, "objective": "f_dpo", "divergence": "reverse_kl"},
        "Diffusion-DPO, which is f-DPO under reverse KL",
    ),
    "f-dpo": (
        {**_STYLE_PAIRED, "objective": "f_dpo", "divergence": "jensen_shannon"},
        "f-DPO under Jensen-Shannon",
    ),
    "rpo": ({**_STYLE_PAIRED, "objective": "rpo", "divergence": "reverse_kl"}, "Diffusion-RPO"),
}


def _style_preset(method: str, style: str) -> Preset:
    own, words = _METHODS[method]
    name = style.replace("_", "-")
    steps = _QUICK.get((method, style), _STYLE_STEPS[style])
    length = {"data": f"shapes-style-{style}", "steps": steps, "save_every": steps // 2}
    return Preset(
        f"style-{method}-{name}",
        f"{words}, towards the style {name}",
        {**_STYLE_BASE, **length, **own},
        _STYLE_SOURCE,
    )


STYLES: tuple[Preset, ...] = tuple(
    _style_preset(method, style) for method in _METHODS for style in _STYLE_STEPS
)
