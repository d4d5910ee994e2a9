"""Writes ``docs/presets.md`` from the recipes: ``python -m tools.docs.presets_page docs/presets.md``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.docs.lines import wrapped
from trainers.presets import FLOW, Preset
from trainers.presets.published import PUBLISHED
from trainers.presets.shapes import SHAPES, SHAPES_FLOW, STYLES

_HEAD = """# Presets

Written by `python -m tools.docs.presets_page docs/presets.md` from the tables in `trainers/presets/`; a test
keeps it so.

A preset is a recipe of `fbench train --preset NAME`: settings with a source, and the numbers it should give.
Where nobody has published a number it says *unknown*. Every setting can be overruled by a flag or a
`--config` file; `fbench train --preset NAME --dry-run` prints what is done.

**From Diffusion-DPO's beta to ours.** The release minimises
`-log sigmoid(-0.5 * beta_dpo * (delta_w - delta_l))`, with `delta` the policy's mean squared error less the
reference's. Ours is `-log sigmoid(beta * (s_w - s_l))` with `s = -kappa * delta`. So
`kappa * beta = beta_dpo / 2`: its 5,000 is a `log_ratio_scale` of 2,500 at beta 1, exactly, at any image
size. In the units of `auto`, 0.15 a latent dimension, the same 2,500 is beta 1.0173 for SD1.5 and 0.2543 for
SDXL. Under reverse KL only the product matters; under any other divergence it is two knobs: see
[the log-ratio scale and beta](decisions/log-ratio-scale-and-beta.md).

On several devices `batch_size` is the sum over all of them, and `micro_batches` the parts that each device's
share goes through the network in: more of them need less memory and give the same gradient.
"""
_GROUPS = (
    ("The embedded world", SHAPES),
    ("The embedded world by flow matching", SHAPES_FLOW),
    ("Styles on the embedded world", STYLES),
    ("Stable Diffusion on Pick-a-Pic", PUBLISHED),
    ("Flow-matching models", FLOW),
)


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, presets in _GROUPS:
        parts += [f"## {title}\n", *_group(presets)]
    return "\n".join(parts)


def _group(presets: Sequence[Preset]) -> list[str]:
    shared = {
        key: value
        for key, value in presets[0].values.items()
        if all(preset.values.get(key) == value for preset in presets)
    }
    shown = wrapped(f"All of them: {_settings(shared)}.")
    return [f"{shown}\n", *(_section(preset, shared) for preset in presets)]


def _section(preset: Preset, shared: dict[str, object]) -> str:
    own = {key: value for key, value in preset.values.items() if key not in shared}
    facts = {
        "settings": _settings(own),
        "source": preset.source,
        "should give": preset.gives,
        "note": preset.note,
    }
    items = [wrapped(f"{name}: {fact}", "* ") for name, fact in facts.items() if fact]
    return "\n".join([f"### `{preset.name}`\n", f"{wrapped(preset.summary)}.\n", *items, ""])


def _settings(values: dict[str, object]) -> str:
    return ", ".join(f"`{key}` {value}" for key, value in values.items())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
