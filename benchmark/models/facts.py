"""What is known of a base model before it is loaded: where it is, and how it is sampled by default."""

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnknownNameError, UnreadableFileError, UserError
from benchmark.core.records import Sampler
from benchmark.core.registry import Registry
from benchmark.core.store import read_json
from benchmark.models.files import ENDINGS, own_name
from benchmark.models.kinds import contents
from benchmark.models.published import fitting_sizes

XL_CLASS = "StableDiffusionXLPipeline"
# How each kind of folder is sampled unless told otherwise: as diffusers itself does.
_SAMPLERS = {
    "StableDiffusionPipeline": Sampler(steps=50, guidance=7.5),
    XL_CLASS: Sampler(steps=50, guidance=5.0),
}


@dataclass(frozen=True)
class ModelFacts:
    """A base model's facts; none of them needs torch.

    Attributes:
        name: As registered; for other models the folder's name or the hub id.
        hub_id: Where it is published; empty for a local folder.
        sampler: How its images are made by default.
        image_size: Height and width in pixels; 0 where only the weights would tell.
        latent_shape: (C, H, W) of one image's latents; zeros where only the weights would tell.
        licence: Under which the weights may be used.
        download: Bytes that are fetched from the hub; 0: not known.
        local: Finds the folder or file on this machine; None for a model on the hub.
    """

    name: str
    hub_id: str = ""
    sampler: Sampler = Sampler(steps=50, guidance=7.5)  # noqa: RUF009  # frozen
    image_size: int = 0
    latent_shape: tuple[int, int, int] = (0, 0, 0)
    licence: str = ""
    download: int = 0
    local: Callable[[], Path] | None = None

    @property
    def latent_size(self) -> int:
        """D = C * H * W, the dimension that the log-ratio's scale is stated for."""
        return math.prod(self.latent_shape)


models: Registry[ModelFacts] = Registry(
    "base model", group="fbench.models", modules=("benchmark.models.builtin",)
)


def model_facts(spec: str) -> ModelFacts:
    """The facts of the base model that `--base` means: a registered name, a path, or a hub id.

    Args:
        spec: As typed. A path wins over a hub id of the same spelling, a registered name over both.

    Raises:
        UserError: for a name nobody registered, a folder that is no diffusers pipeline, or a file that is no
            whole model.
    """
    if spec in models:
        return models.create(spec)
    place = Path(spec).expanduser()
    if place.exists():
        return _file_facts(place) if place.is_file() else _folder_facts(place)
    if looks_like_hub_id(spec):
        return ModelFacts(name=spec, hub_id=spec)
    do = "or give a diffusers folder, a whole model's file or a hub id (owner/name)"
    if "@" in spec:  # as checkpoints name the base model that was a folder
        do = "give the path of its folder or file; behind the @ is the start of its content's hash"
    raise UnknownNameError("base model", spec, models.names(), do)


def looks_like_hub_id(spec: str) -> bool:
    """Whether a text can be a hub id: `owner/name`, and nothing that reads like a path.

    Example:
        >>> looks_like_hub_id("owner/name"), looks_like_hub_id("./runs/a"), looks_like_hub_id("a/b/c")
        (True, False, False)
    """
    owner, slash, name = spec.partition("/")
    plain = all(part and part[0].isalnum() and not set(part) & set("/\\ ~") for part in (owner, name))
    return bool(slash) and plain and not name.endswith((*ENDINGS, ".json"))


def pipeline_index(folder: Path) -> Mapping[str, Any]:
    """What a folder says of its pipeline: `model_index.json`.

    Raises:
        UserError: if it is no diffusers folder, or another kind of pipeline.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise UnreadableFileError(
            folder, "a diffusers pipeline", "it has no model_index.json", do=_instead(folder)
        )
    content = read_json(index, "a diffusers model index")
    kind = content.get("_class_name") if isinstance(content, dict) else None
    if kind not in _SAMPLERS:
        raise UserError(f"{folder} holds a {kind}", allowed=", ".join(_SAMPLERS))
    return dict(content)


def _instead(folder: Path) -> str:
    """What a folder that is no pipeline may be good for."""
    if (folder / "unet").is_dir() or (folder / "config.json").is_file():
        return f"a UNet alone is a checkpoint: --checkpoint {shlex.quote(str(folder))}"
    files = sorted(p for p in folder.glob("*") if p.suffix in (".safetensors", ".ckpt"))
    return f"give a whole model's file itself: --base {shlex.quote(str(files[0]))}" if files else ""


def _file_facts(file: Path) -> ModelFacts:
    found = contents(file)
    sizes = fitting_sizes(file, found)
    side = int(sizes.unet["sample_size"])
    return ModelFacts(
        name=own_name(file),
        sampler=_SAMPLERS["StableDiffusionPipeline" if sizes.text_2 is None else XL_CLASS],
        image_size=side * 2 ** (len(sizes.vae["block_out_channels"]) - 1),
        latent_shape=(4, side, side),
        local=lambda: file,
    )


def _folder_facts(folder: Path) -> ModelFacts:
    kind = pipeline_index(folder)["_class_name"]
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
        sampler=_SAMPLERS[kind],
        image_size=side * factor,
        latent_shape=(channels, side, side),
        local=lambda: folder,
    )
