"""Named recipes: every number in one table, so that a run can be repeated by its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.core.errors import UnknownNameError
from benchmark.core.registry import normalise


@dataclass(frozen=True)
class Preset:
    """A recipe.

    Attributes:
        name: As in `--preset`.
        summary: One line for `fbench list presets`.
        values: The settings of `TrainConfig` that it states; beta and scale always, where the
            objective has them.
        expected: The numbers it should give, such as the held-out loss it ends at.
    """

    name: str
    summary: str
    values: Mapping[str, Any]
    expected: Mapping[str, float] = field(default_factory=dict)


_SHAPES: Mapping[str, Any] = {
    "base": "shapes",
    "data": "shapes-prefs",
    "lora_rank": 16,
    "lora_targets": "all",
    "steps": 100,
    "batch_size": 96,
    "draws": 1,
    "lr": 2e-4,
    "lr_schedule": "constant",
    "warmup": 10,
    "save_every": 50,
    # Many pairs and few draws of each: pairs differ more than draws do.
    "held_out_pairs": 256,
    "held_out_draws": 4,
}
_SCALE: Mapping[str, Any] = {"log_ratio_scale": "auto"}

# name: (summary, what it adds to _SHAPES, what it should give)
_TABLE: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, float]]] = {
    "shapes-sft": (
        "fine-tuning on the preferred images alone",
        {"objective": "sft"},
        {},
    ),
    "shapes-f-dpo-reverse-kl": (
        "f-DPO under reverse KL, which is Diffusion-DPO",
        {"objective": "f_dpo", "divergence": "reverse_kl", "beta": 0.3, **_SCALE},
        {},
    ),
    "shapes-f-dpo-jensen-shannon": (
        "f-DPO under the Jensen-Shannon divergence",
        {"objective": "f_dpo", "divergence": "jensen_shannon", "beta": 0.3, **_SCALE},
        # Means of five training seeds: results/shapes-f-dpo-jensen-shannon/verdict.md.
        {"held_out_loss": 0.683, "true_reward_difference": 0.367},
    ),
    "shapes-f-dpo-forward-kl": (
        "f-DPO under forward KL",
        {"objective": "f_dpo", "divergence": "forward_kl", "beta": 0.3, **_SCALE},
        {},
    ),
    "shapes-f-dpo-alpha": (
        "f-DPO half-way between reverse and forward KL",
        {"objective": "f_dpo", "divergence": "alpha(a=0.5)", "beta": 0.3, **_SCALE},
        {},
    ),
    "shapes-rpo": (
        "Diffusion-RPO: every preferred image against every rejected one",
        {"objective": "rpo", "divergence": "reverse_kl", "beta": 0.3, **_SCALE},
        {},
    ),
}

PRESETS: Mapping[str, Preset] = {
    name: Preset(name, summary, {**_SHAPES, **own}, expected)
    for name, (summary, own, expected) in _TABLE.items()
}


def preset(name: str) -> Preset:
    """A recipe by its name; `_` is accepted for `-`.

    Raises:
        UnknownNameError: names the close matches.
    """
    by_key = {normalise(known): found for known, found in PRESETS.items()}
    if normalise(name) not in by_key:
        raise UnknownNameError("preset", name, PRESETS)
    return by_key[normalise(name)]


def preset_values(name: str) -> dict[str, Any]:
    """The settings a recipe states, with its own name among them."""
    found = preset(name)
    return {**found.values, "preset": found.name}
