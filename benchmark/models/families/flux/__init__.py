"""FLUX.1: a transformer of double and single blocks, and the base models of it that come by name.

No torch here.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmark.core.plugins import load_object
from benchmark.core.records import Sampler
from benchmark.core.store import read_json
from benchmark.models.facts import Family, ModelFacts, models
from benchmark.models.files import Folders
from benchmark.models.flow.facts import CHECKPOINTS, Config, Shape, folder_facts, packed_shape

if TYPE_CHECKING:
    from benchmark.models.families.flux.pipeline import FluxPipeline

CLASS: Final = "FluxPipeline"
_DEV: Final = Sampler(name="euler", steps=28, guidance=3.5)
_SCHNELL: Final = Sampler(name="euler", steps=4, guidance=1.0)


def _latents(index: Config, transformer: Config, vae: Config) -> tuple[Shape, int]:
    return packed_shape(index, transformer), 2 ** (len(vae["block_out_channels"]) - 1)


def _facts(place: Path) -> ModelFacts | None:
    found = folder_facts(place, FAMILY, _latents)
    if found is None:
        return None
    config: Config = read_json(place / "transformer" / "config.json", "a transformer's config")
    return found if config.get("guidance_embeds") else replace(found, sampler=_SCHNELL)


def _load() -> "type[FluxPipeline]":
    # By name: the class needs this module.
    found: Any = load_object("benchmark.models.families.flux.pipeline:FluxPipeline")
    kind: type[FluxPipeline] = found
    return kind


FAMILY: Final = Family(
    name="flux",
    load=_load,
    facts=_facts,
    pipelines={CLASS: _DEV},
    folders=Folders(
        networks=("transformer", "vae", "text_encoder", "text_encoder_2"),
        tokenizers=("tokenizer", "tokenizer_2"),
        unloaded={CLASS: ("image_encoder", "feature_extractor")},
        adapted={"transformer": "FluxTransformer2DModel", "text_encoder": "CLIPTextModel"},
    ),
    samplers=("euler",),
    checkpoints=CHECKPOINTS,
    flow=True,
)


@models.register()
def flux1_dev() -> ModelFacts:
    """FLUX.1 [dev]: 1024 x 1024, 128 x 128 x 16 latents, told its guidance, 34 GB of weights from the hub."""
    return ModelFacts(
        name="flux1_dev",
        hub_id="black-forest-labs/FLUX.1-dev",
        family=FAMILY,
        sampler=replace(_DEV, batch_size=1),
        image_size=1024,
        latent_shape=(16, 128, 128),
        licence="FLUX.1 [dev] Non-Commercial License",
        download=34_000_000_000,
    )


@models.register()
def flux1_schnell() -> ModelFacts:
    """FLUX.1 [schnell]: 1024 x 1024 in 4 steps without guidance, 34 GB of weights from the hub."""
    return ModelFacts(
        name="flux1_schnell",
        hub_id="black-forest-labs/FLUX.1-schnell",
        family=FAMILY,
        sampler=replace(_SCHNELL, batch_size=1),
        image_size=1024,
        latent_shape=(16, 128, 128),
        licence="Apache-2.0",
        download=34_000_000_000,
    )
