"""The facts of a diffusers folder of a flow model, read from its configs; no torch here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmark.core.errors import UnreadableFileError
from benchmark.core.store import read_json
from benchmark.models.facts import Family, ModelFacts, read_index
from benchmark.models.files import INDEX

Config: TypeAlias = Mapping[str, Any]
Shape: TypeAlias = tuple[int, int, int]
LatentShape: TypeAlias = Callable[[Config, Config, Config], tuple[Shape, int]]
"""From a folder's index and the configs of transformer and autoencoder to (C, H, W) of one image's latents,
and pixels of a side for one of theirs."""

CHECKPOINTS: Final = ("a diffusers folder", "a transformer folder", "an adapter's file", "a PEFT folder")
"""The forms in which checkpoints of flow models come; see `policies`."""
SIDE_KEY: Final = "_default_sample_size"
"""In a folder's index, where latents whose height and width no config states have others than in diffusers'
pipeline by default; diffusers passes over what begins with `_`."""
SIDE: Final = 128
"""Of those latents, in diffusers' pipelines by default."""


def folder_facts(folder: Path, family: Family, latent_shape: LatentShape | None = None) -> ModelFacts | None:
    """The facts of a folder; None where it is not of the family.

    Args:
        folder: Of a pipeline.
        family: Whose pipelines its index may name.
        latent_shape: None: see :func:`plain_latents`.
    """
    if not (folder / INDEX).is_file():
        return None
    index = read_index(folder)
    kind = str(index.get("_class_name"))
    if kind not in family.pipelines:
        return None
    transformer = read_json(folder / "transformer" / "config.json", "a transformer's config")
    vae = read_json(folder / "vae" / "config.json", "an autoencoder's config")
    try:
        shape, factor = (latent_shape or plain_latents)(index, transformer, vae)
    except KeyError as error:
        raise UnreadableFileError(folder, "a diffusers pipeline", f"its configs lack {error}") from error
    except (TypeError, ValueError) as error:
        raise UnreadableFileError(folder, "a diffusers pipeline", str(error)) from error
    return ModelFacts(
        # The folder may be moved, and two folders may have one name: loading adds the weights' hash.
        name=folder.resolve().name,
        family=family,
        sampler=family.pipelines[kind],
        image_size=shape[1] * factor,
        latent_shape=shape,
        local=lambda: folder,
    )


def index_number(index: Config, key: str, default: int) -> int:
    """A whole number that the index of a folder states.

    Args:
        index: Of the folder.
        key: Under which.
        default: Where it states none.

    Raises:
        ValueError: if it states something else.
    """
    found = index.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise ValueError(f"{key} in {INDEX} is {found!r} and should be a whole number")
    return found


def own_facts(folder: Path, family: Family) -> ModelFacts:
    """The facts of a folder that is to be of a family.

    Args:
        folder: Of a pipeline.
        family: Which.

    Raises:
        UserError: if it is of another.
    """
    facts = family.facts(folder)
    if facts is None:
        why = f"its {INDEX} names no pipeline of {family.name}"
        raise UnreadableFileError(folder, "a diffusers pipeline", why)
    return facts


def plain_latents(index: Config, transformer: Config, vae: Config) -> tuple[Shape, int]:
    """Of a transformer that reads latents as they are, and an `AutoencoderKL`.

    A side has twice as many pixels for each level of the autoencoder but one.

    Args:
        index: Not asked.
        transformer: Its config.
        vae: The autoencoder's config.
    """
    del index
    return plain_shape(transformer), 2 ** (len(vae["block_out_channels"]) - 1)


def plain_shape(transformer: Config) -> Shape:
    """Of latents that a transformer reads as they are.

    Raises:
        ValueError: if it says more than a velocity of them, such as a learned variance.
    """
    side, channels = int(transformer["sample_size"]), int(transformer["in_channels"])
    said = transformer.get("out_channels")
    if said not in (None, channels):
        raise ValueError(
            f"its transformer reads {channels} channels and says {said}; a velocity has as many as it reads"
        )
    return channels, side, side


def packed_shape(index: Config, transformer: Config) -> Shape:
    """Of latents that a transformer reads four neighbours of as one token; no config states their side.

    Args:
        index: Of the folder, which may state it.
        transformer: Its config.
    """
    side = index_number(index, SIDE_KEY, SIDE)
    return int(transformer["in_channels"]) // 4, side, side
