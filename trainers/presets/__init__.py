"""Named recipes: every number in a table, so that a run can be repeated by its name.

`shapes` is for the embedded world, `published` for Stable Diffusion; each flow-matching model has a file of
its own. The page docs/presets.md is written from these tables.
"""

from collections.abc import Mapping
from typing import Any

from benchmark.core.errors import UnknownNameError
from benchmark.core.registry import normalise
from trainers.presets.base import UNKNOWN, Expected, Preset
from trainers.presets.flux import FLUX
from trainers.presets.published import PUBLISHED
from trainers.presets.qwen_image import QWEN_IMAGE
from trainers.presets.sana import SANA
from trainers.presets.sd3 import SD3
from trainers.presets.shapes import SHAPES, SHAPES_FLOW, STYLES

FLOW: tuple[Preset, ...] = (*SD3, *FLUX, *SANA, *QWEN_IMAGE)
"""Of flow-matching models."""
PRESETS: Mapping[str, Preset] = {
    found.name: found for found in (*SHAPES, *SHAPES_FLOW, *STYLES, *PUBLISHED, *FLOW)
}


def preset(name: str) -> Preset:
    """A recipe by its name; `_` is accepted for `-`.

    Raises:
        UnknownNameError: names the close matches.
    """
    by_key = {normalise(known): found for known, found in PRESETS.items()}
    if normalise(name) not in by_key:
        raise UnknownNameError("preset", name, PRESETS, "fbench list presets shows all")
    return by_key[normalise(name)]


def preset_values(name: str) -> dict[str, Any]:
    """The settings a recipe states, with its own name among them."""
    found = preset(name)
    return {**found.values, "preset": found.name}


__all__ = ["FLOW", "PRESETS", "UNKNOWN", "Expected", "Preset", "preset", "preset_values"]
