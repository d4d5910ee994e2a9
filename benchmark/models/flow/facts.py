"""The facts of a diffusers folder of a flow model, read from its configs; no torch here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmark.core.errors import UnreadableFileError
from benchmark.core.store import read_json
from benchmark.models.facts import Family, ModelFacts, pipeline_index
from benchmark.models.files import INDEX

LatentShape: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[tuple[int, int, int], int]]

SIDE_KEY: Final = "_default_sample_size"
"""In a folder's index, where latents whose height and width no config states have others than in diffusers'
pipeline by default; diffusers passes over what begins with `_`."""


def latent_side(folder: Path, default: int = 128) -> int:
    """Height and width of the latents of a folder's images, which its index may state.

    Args:
        folder: Of a pipeline.
        default: Of diffusers' pipeline.
    """
    return int(str(pipeline_index(folder).get(SIDE_KEY, default)))


def folder_facts(folder: Path, family: Family, latent_shape: LatentShape | None = None) -> ModelFacts | None:
    """The facts of a folder; None where it is not of the family.

    Args:
        folder: Of a pipeline.
        family: Whose pipelines its index may name.
        latent_shape: From the configs of transformer and autoencoder to (C, H, W) and pixels a latent; None:
            see :func:`plain_latents`.
    """
    if not (folder / INDEX).is_file():
        return None
    kind = str(pipeline_index(folder)["_class_name"])
    if kind not in family.pipelines:
        return None
    transformer = read_json(folder / "transformer" / "config.json", "a transformer's config")
    vae = read_json(folder / "vae" / "config.json", "an autoencoder's config")
    try:
        shape, factor = (latent_shape or plain_latents)(transformer, vae)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableFileError(folder, "a diffusers pipeline", f"its configs lack {error}") from error
    return ModelFacts(
        # The folder may be moved, and two folders may have one name: loading adds the weights' hash.
        name=folder.resolve().name,
        family=family,
        sampler=family.pipelines[kind],
        image_size=shape[1] * factor,
        latent_shape=shape,
        local=lambda: folder,
    )


def plain_latents(transformer: Mapping[str, Any], vae: Mapping[str, Any]) -> tuple[tuple[int, int, int], int]:
    """(C, H, W) of one image's latents, and pixels of a side for one of theirs.

    The transformer's `in_channels` and `sample_size`, and a factor of 2 for each level of the autoencoder but
    one.

    Args:
        transformer: Its config.
        vae: The autoencoder's config.
    """
    channels, side = int(transformer["in_channels"]), int(transformer["sample_size"])
    return (channels, side, side), 2 ** (len(vae["block_out_channels"]) - 1)
