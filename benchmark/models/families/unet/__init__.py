"""Latent diffusion by a UNet: Stable Diffusion 1.x and SDXL, and the base models of them that come by name.

To add a base model, register a function that returns its facts: its name is the function's, and its line in
`fbench list models` the first of its docstring. No torch here.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmark.core import resources
from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.plugins import load_object
from benchmark.core.records import Sampler
from benchmark.core.store import read_json
from benchmark.models.facts import Family, ModelFacts, OwnClip, models, pipeline_index
from benchmark.models.families.unet.kinds import contents, refusal
from benchmark.models.families.unet.published import FAMILIES, fitting_sizes
from benchmark.models.files import INDEX, Folders, own_name

if TYPE_CHECKING:
    from benchmark.models.families.unet.pipeline import UNetPipeline

SD_CLASS: Final = "StableDiffusionPipeline"
XL_CLASS: Final = "StableDiffusionXLPipeline"
SHAPES_GUIDANCE = 2.0
"""Chosen once on validation prompts: the smallest scale within 0.02 of the best alignment."""


def _facts(place: Path) -> ModelFacts | None:
    return _file_facts(place) if place.is_file() else _folder_facts(place)


def _file_facts(file: Path) -> ModelFacts | None:
    found = contents(file)
    if not found.is_whole or found.kind not in FAMILIES:
        return None
    sizes = fitting_sizes(file, found)
    side = int(sizes.unet["sample_size"])
    return ModelFacts(
        name=own_name(file),
        family=FAMILY,
        sampler=FAMILY.pipelines[SD_CLASS if sizes.text_2 is None else XL_CLASS],
        image_size=side * 2 ** (len(sizes.vae["block_out_channels"]) - 1),
        latent_shape=(4, side, side),
        local=lambda: file,
    )


def _folder_facts(folder: Path) -> ModelFacts | None:
    if not (folder / INDEX).is_file():
        return None
    kind = str(pipeline_index(folder)["_class_name"])
    if kind not in FAMILY.pipelines:
        return None
    unet = read_json(folder / "unet" / "config.json", "a UNet's config")
    vae = read_json(folder / "vae" / "config.json", "an autoencoder's config")
    try:
        channels, side = int(unet["in_channels"]), int(unet["sample_size"])
        factor = 2 ** (len(vae["block_out_channels"]) - 1)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableFileError(folder, "a diffusers pipeline", f"its configs lack {error}") from error
    return ModelFacts(
        # The folder may be moved, and two folders may have one name: loading adds the weights' hash.
        name=folder.resolve().name,
        family=FAMILY,
        sampler=FAMILY.pipelines[kind],
        image_size=side * factor,
        latent_shape=(channels, side, side),
        local=lambda: folder,
    )


def no_base_model(place: Path) -> UserError:
    """Why a file, or a folder without an index, is no base model, and what it may be good for."""
    if place.is_file():
        return refusal(place, contents(place), "--base")
    do = ""
    files = sorted(p for p in place.glob("*") if p.suffix in (".safetensors", ".ckpt"))
    if (place / "unet").is_dir() or (place / "config.json").is_file():
        do = f"a UNet alone is a checkpoint: --checkpoint {shlex.quote(str(place))}"
    elif files:
        do = f"give a whole model's file itself: --base {shlex.quote(str(files[0]))}"
    return UnreadableFileError(place, "a diffusers pipeline", f"it has no {INDEX}", do=do)


def _load() -> "type[UNetPipeline]":
    # By name: the class needs this module.
    found: Any = load_object("benchmark.models.families.unet.pipeline:UNetPipeline")
    kind: type[UNetPipeline] = found
    return kind


FAMILY: Final = Family(
    name="unet",
    load=_load,
    facts=_facts,
    refusal=no_base_model,
    pipelines={SD_CLASS: Sampler(steps=50, guidance=7.5), XL_CLASS: Sampler(steps=50, guidance=5.0)},
    folders=Folders(
        networks=("unet", "vae", "text_encoder", "text_encoder_2"),
        tokenizers=("tokenizer", "tokenizer_2"),
        unloaded={
            SD_CLASS: ("safety_checker", "feature_extractor", "image_encoder"),
            XL_CLASS: ("feature_extractor", "image_encoder"),
        },
        adapted={
            "unet": "UNet2DConditionModel",
            "text_encoder": "CLIPTextModel",
            "text_encoder_2": "CLIPTextModelWithProjection",
        },
    ),
    samplers=("ddim",),
    checkpoints=(
        "a diffusers folder", "a UNet folder or file", "a whole model in one file", "an adapter's file",
        "a PEFT folder",
    ),
)  # fmt: skip


@models.register()
def shapes() -> ModelFacts:
    """The embedded world: 64 x 64, 16 x 16 x 4 latents, runs on any machine, comes with fbench."""
    return ModelFacts(
        name="shapes",
        family=FAMILY,
        sampler=Sampler(steps=16, guidance=SHAPES_GUIDANCE),
        image_size=64,
        latent_shape=(4, 16, 16),
        licence="Apache-2.0",
        local=lambda: resources.shapes_weights("shapes-sd"),
        embedded=True,
        clip=OwnClip.embedded,
    )


@models.register()
def sd15() -> ModelFacts:
    """Stable Diffusion 1.5: 512 x 512, 64 x 64 x 4 latents, 4 GB of weights from the hub."""
    return ModelFacts(
        name="sd15",
        hub_id="stable-diffusion-v1-5/stable-diffusion-v1-5",
        family=FAMILY,
        sampler=Sampler(steps=50, guidance=7.5, batch_size=4),
        image_size=512,
        latent_shape=(4, 64, 64),
        licence="CreativeML Open RAIL-M",
        download=4_270_000_000,
    )


@models.register()
def sdxl() -> ModelFacts:
    """SDXL base 1.0: 1024 x 1024, 128 x 128 x 4 latents, 14 GB of weights from the hub."""
    return ModelFacts(
        name="sdxl",
        hub_id="stabilityai/stable-diffusion-xl-base-1.0",
        family=FAMILY,
        sampler=Sampler(steps=50, guidance=5.0, batch_size=2),
        image_size=1024,
        latent_shape=(4, 128, 128),
        licence="CreativeML Open RAIL++-M",
        download=13_880_000_000,
    )
