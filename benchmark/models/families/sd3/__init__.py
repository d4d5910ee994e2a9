"""Stable Diffusion 3 and 3.5: a multimodal transformer, and the base models of it that come by name.

No torch here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmark.core import resources
from benchmark.core.plugins import load_object
from benchmark.core.records import Sampler
from benchmark.models.facts import Family, ModelFacts, OwnClip, models
from benchmark.models.files import Folders
from benchmark.models.flow.facts import CHECKPOINTS, folder_facts

if TYPE_CHECKING:
    from benchmark.models.families.sd3.pipeline import SD3Pipeline

CLASS: Final = "StableDiffusion3Pipeline"
SHAPES_GUIDANCE: Final = 3.0
"""Chosen once on validation prompts: the smallest scale within 0.02 of the best alignment."""


def _facts(place: Path) -> ModelFacts | None:
    return folder_facts(place, FAMILY)


def _load() -> "type[SD3Pipeline]":
    # By name: the class needs this module.
    found: Any = load_object("benchmark.models.families.sd3.pipeline:SD3Pipeline")
    kind: type[SD3Pipeline] = found
    return kind


FAMILY: Final = Family(
    name="sd3",
    load=_load,
    facts=_facts,
    pipelines={CLASS: Sampler(name="euler", steps=28, guidance=7.0)},
    folders=Folders(
        networks=("transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"),
        tokenizers=("tokenizer", "tokenizer_2", "tokenizer_3"),
        unloaded={CLASS: ("image_encoder", "feature_extractor")},
        adapted={
            "transformer": "SD3Transformer2DModel",
            "text_encoder": "CLIPTextModelWithProjection",
            "text_encoder_2": "CLIPTextModelWithProjection",
        },
    ),
    samplers=("euler",),
    checkpoints=CHECKPOINTS,
    flow=True,
)


@models.register()
def shapes_flow() -> ModelFacts:
    """The embedded world by flow matching: 64 x 64, 16 x 16 x 4 latents, comes with fbench."""
    return ModelFacts(
        name="shapes_flow",
        family=FAMILY,
        sampler=Sampler(name="euler", steps=16, guidance=SHAPES_GUIDANCE),
        image_size=64,
        latent_shape=(4, 16, 16),
        licence="Apache-2.0",
        local=lambda: resources.shapes_weights("shapes-flow"),
        embedded=True,
        clip=OwnClip.embedded,
    )


@models.register()
def sd35_medium() -> ModelFacts:
    """Stable Diffusion 3.5 medium: 1024 x 1024, 128 x 128 x 16 latents, 16 GB of weights from the hub."""
    return ModelFacts(
        name="sd35_medium",
        hub_id="stabilityai/stable-diffusion-3.5-medium",
        family=FAMILY,
        sampler=Sampler(name="euler", steps=28, guidance=7.0, batch_size=2),
        image_size=1024,
        latent_shape=(16, 128, 128),
        licence="Stability AI Community License",
        download=16_000_000_000,
    )


@models.register()
def sd35_large() -> ModelFacts:
    """Stable Diffusion 3.5 large: 1024 x 1024, 128 x 128 x 16 latents, 28 GB of weights from the hub."""
    return ModelFacts(
        name="sd35_large",
        hub_id="stabilityai/stable-diffusion-3.5-large",
        family=FAMILY,
        sampler=Sampler(name="euler", steps=28, guidance=7.0, batch_size=1),
        image_size=1024,
        latent_shape=(16, 128, 128),
        licence="Stability AI Community License",
        download=28_000_000_000,
    )


@models.register()
def sd3_medium() -> ModelFacts:
    """Stable Diffusion 3 medium: 1024 x 1024, 128 x 128 x 16 latents, 15 GB of weights from the hub."""
    return ModelFacts(
        name="sd3_medium",
        hub_id="stabilityai/stable-diffusion-3-medium-diffusers",
        family=FAMILY,
        sampler=Sampler(name="euler", steps=28, guidance=7.0, batch_size=2),
        image_size=1024,
        latent_shape=(16, 128, 128),
        licence="Stability AI Community License",
        download=15_000_000_000,
    )
