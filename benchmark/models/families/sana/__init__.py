"""SANA: a linear transformer on deeply compressed latents, and the base models of it that come by name.

No torch here.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmark.core.plugins import load_object
from benchmark.core.records import Sampler
from benchmark.models.facts import Family, ModelFacts, models, pipeline_index
from benchmark.models.files import Folders
from benchmark.models.flow.facts import CHECKPOINTS, Config, Shape, folder_facts, plain_shape

if TYPE_CHECKING:
    from benchmark.models.families.sana.pipeline import SanaPipeline

CLASS: Final = "SanaPipeline"
SAMPLER: Final = Sampler(name="dpmsolver++", steps=20, guidance=4.5)
LICENCE: Final = "NVIDIA NSCL v2-custom; its text encoder: Gemma Terms of Use"


def _latents(_: Config, transformer: Config, vae: Config) -> tuple[Shape, int]:
    return plain_shape(transformer), 2 ** (len(vae["encoder_block_out_channels"]) - 1)


def _facts(place: Path) -> ModelFacts | None:
    """Sampled by the scheduler that the folder names, as diffusers does."""
    facts = folder_facts(place, FAMILY, _latents)
    if facts is None or pipeline_index(place).get("scheduler") == [
        "diffusers",
        "DPMSolverMultistepScheduler",
    ]:
        return facts
    return replace(facts, sampler=replace(SAMPLER, name="euler"))


def _load() -> "type[SanaPipeline]":
    # By name: the class needs this module.
    found: Any = load_object("benchmark.models.families.sana.pipeline:SanaPipeline")
    kind: type[SanaPipeline] = found
    return kind


FAMILY: Final = Family(
    name="sana",
    load=_load,
    facts=_facts,
    pipelines={CLASS: SAMPLER},
    folders=Folders(
        networks=("transformer", "vae", "text_encoder"),
        tokenizers=("tokenizer",),
        adapted={"transformer": "SanaTransformer2DModel"},
    ),
    samplers=("dpmsolver++", "euler"),
    checkpoints=CHECKPOINTS,
    flow=True,
)


@models.register()
def sana() -> ModelFacts:
    """SANA 1.6B: 1024 x 1024, 32 x 32 x 32 latents, weights from the hub."""
    return ModelFacts(
        name="sana",
        hub_id="Efficient-Large-Model/Sana_1600M_1024px_diffusers",
        family=FAMILY,
        sampler=replace(SAMPLER, batch_size=4),
        image_size=1024,
        latent_shape=(32, 32, 32),
        licence=LICENCE,
    )


@models.register()
def sana_512() -> ModelFacts:
    """SANA 1.6B of 512 x 512: 32 x 16 x 16 latents, weights from the hub."""
    return ModelFacts(
        name="sana_512",
        hub_id="Efficient-Large-Model/Sana_1600M_512px_diffusers",
        family=FAMILY,
        sampler=replace(SAMPLER, batch_size=8),
        image_size=512,
        latent_shape=(32, 16, 16),
        licence=LICENCE,
    )


@models.register()
def sana15() -> ModelFacts:
    """SANA 1.5 1.6B: 1024 x 1024, 32 x 32 x 32 latents, weights from the hub."""
    return ModelFacts(
        name="sana15",
        hub_id="Efficient-Large-Model/SANA1.5_1.6B_1024px_diffusers",
        family=FAMILY,
        sampler=replace(SAMPLER, batch_size=4),
        image_size=1024,
        latent_shape=(32, 32, 32),
        licence=LICENCE,
    )
