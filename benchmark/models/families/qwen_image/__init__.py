"""Qwen-Image: a multimodal transformer told of prompts by Qwen2.5-VL, and the base model that comes by name.

No torch here.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmark.core.plugins import load_object
from benchmark.core.records import Sampler
from benchmark.models.facts import Family, ModelFacts, models
from benchmark.models.files import Folders
from benchmark.models.flow.facts import CHECKPOINTS, Config, Shape, folder_facts, packed_shape

if TYPE_CHECKING:
    from benchmark.models.families.qwen_image.pipeline import QwenImagePipeline

CLASS: Final = "QwenImagePipeline"
SAMPLER: Final = Sampler(name="euler", steps=50, guidance=4.0)


def _latents(index: Config, transformer: Config, vae: Config) -> tuple[Shape, int]:
    return packed_shape(index, transformer), 2 ** len(vae["temperal_downsample"])


def _facts(place: Path) -> ModelFacts | None:
    return folder_facts(place, FAMILY, _latents)


def _load() -> "type[QwenImagePipeline]":
    # By name: the class needs this module.
    found: Any = load_object("benchmark.models.families.qwen_image.pipeline:QwenImagePipeline")
    kind: type[QwenImagePipeline] = found
    return kind


FAMILY: Final = Family(
    name="qwen_image",
    load=_load,
    facts=_facts,
    pipelines={CLASS: SAMPLER},
    folders=Folders(
        networks=("transformer", "vae", "text_encoder"),
        tokenizers=("tokenizer",),
        adapted={"transformer": "QwenImageTransformer2DModel"},
    ),
    samplers=("euler",),
    checkpoints=CHECKPOINTS,
    flow=True,
)


@models.register()
def qwen_image() -> ModelFacts:
    """Qwen-Image: 1024 x 1024, 128 x 128 x 16 latents, 58 GB of weights from the hub."""
    return ModelFacts(
        name="qwen_image",
        hub_id="Qwen/Qwen-Image",
        family=FAMILY,
        sampler=replace(SAMPLER, batch_size=1),
        image_size=1024,
        latent_shape=(16, 128, 128),
        licence="Apache-2.0",
        download=57_700_000_000,
    )
