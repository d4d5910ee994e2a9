"""The files of an adapter, read whole: nothing is filtered away before it is counted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.store import read_json
from benchmark.models.tensors import read_pickle

Parts = Mapping[str, str]
"""The networks of a pipeline that an adapter may change, with the class that PEFT's config names."""

PEFT_CONFIG = "adapter_config.json"
_WEIGHTS = ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")
_PEFT_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_METADATA = "lora_adapter_metadata"


@dataclass(frozen=True)
class AdapterFile:
    """One file of an adapter.

    Attributes:
        path: Where it is.
        model: The base model it is opened for; for messages.
        tensors: All that it holds, by the names in the file.
        settings: What PEFT's config or diffusers' metadata states of each part; under an empty name, of all.
        part: The network that names without a prefix mean; empty where the names alone tell.
    """

    path: Path
    model: str
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    part: str = ""

    def refused(self, why: object, do: str = "") -> UserError:
        """The error that says why this file is no adapter of the base model."""
        return UnreadableFileError(self.path, f"a LoRA of {self.model}", why, do)


def is_adapter(place: Path, parts: Parts) -> bool:
    """Whether a folder holds an adapter: diffusers' weights, or PEFT's config at its top or by part."""
    return bool(_sources(place, parts))


def adapter_place(path: Path) -> Path:
    """The folder of PEFT's weights, whose config states their scale; every other path as it is."""
    whole = path.name in _PEFT_WEIGHTS and (path.parent / PEFT_CONFIG).is_file()
    return path.parent if whole else path


def adapter_files(place: Path, parts: Parts) -> list[Path]:
    """All files that decide what an adapter's folder holds: weights, and configs that state their scale."""
    paths = (path for one in _sources(place, parts) for path in (one.weights, one.config))
    return [path for path in paths if path and path.is_file()]


def read_adapter(place: Path, model: str, parts: Parts) -> list[AdapterFile]:
    """All files of an adapter.

    Args:
        place: A file of weights, or a folder for which :func:`is_adapter` holds.
        model: The base model's name.
        parts: Which networks it may change.

    Raises:
        UserError: if a file is missing, unreadable, or holds anything but finite numbers.
    """
    sources = [_Source(place)] if place.is_file() else _sources(place, parts)
    return [_read(one, model, parts) for one in sources]


@dataclass(frozen=True)
class _Source:
    """A file of weights, PEFT's config beside it, and the part that their folder's name states."""

    weights: Path
    config: Path | None = None
    part: str = ""


def _sources(place: Path, parts: Parts) -> list[_Source]:
    if weights := _first(place, _WEIGHTS):
        return [_Source(weights)]
    own = place.name if place.name in parts else ""
    folders = ((place, own), *((place / part, part) for part in parts))
    return [
        _Source(_first(folder, _PEFT_WEIGHTS) or folder / _PEFT_WEIGHTS[0], folder / PEFT_CONFIG, part)
        for folder, part in folders
        if (folder / PEFT_CONFIG).is_file()
    ]


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read(source: _Source, model: str, parts: Parts) -> AdapterFile:
    path, config, part = source.weights, source.config, source.part
    header: Mapping[str, str] = {}
    if not path.is_file():
        do = "copy the whole folder again"
        raise MissingFileError(path, "weights beside adapter_config.json", do=do)
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as opened:
                header = opened.metadata() or {}
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no dictionary
        except (SafetensorError, OSError) as error:
            raise UnreadableFileError(path, f"a LoRA of {model}", error) from error
    else:
        tensors = read_pickle(path, beside=False)
    settings: dict[str, Mapping[str, Any]] = {}
    if config is not None:
        settings = {"": _table(read_json(config, "an adapter's config"), config)}
        trained, of_diffusers = _base_class(settings[""])
        if of_diffusers and trained not in parts.values():
            do = "give the base model that it was trained on with --base"
            raise UnreadableFileError(path, f"a LoRA of {model}", f"it was trained on a {trained}", do=do)
        part = part or next((name for name, kind in parts.items() if kind == trained), "")
    elif text := header.get(_METADATA):
        settings = _by_part(text, path)
    file = AdapterFile(path, model, tensors, settings, part)
    _check_values(file)
    if config is None and any(name.startswith("base_model.model.") for name in tensors):
        why = f"it is PEFT's, which states the scale in {PEFT_CONFIG}, and none is beside it"
        raise file.refused(why, do="give the folder that PEFT saved")
    return file


def _check_values(file: AdapterFile) -> None:
    if not file.tensors:
        raise file.refused("it holds no tensors")
    for name, tensor in file.tensors.items():
        if not isinstance(tensor, Tensor):
            raise file.refused(
                f"{name} is no tensor", do="give the adapter's own weights, not a training state"
            )
        if tensor.is_meta or tensor.is_quantized or tensor.layout is not torch.strided:
            raise file.refused(f"{name} is no plain tensor of numbers", do="save it dense, as .safetensors")
        if tensor.is_complex() or not (tensor.is_floating_point() or name.endswith("alpha")):
            raise file.refused(f"{name} holds {str(tensor.dtype).removeprefix('torch.')}, not floats")
        if not tensor.numel():
            raise file.refused(f"{name} is empty")
        # Eight-bit floats have no such question of their own.
        if not torch.isfinite(tensor.float()).all():
            raise file.refused(f"{name} is not finite", do="the file is damaged, or its training diverged")


def _by_part(text: str, path: Path) -> dict[str, Mapping[str, Any]]:
    """The metadata of diffusers: PEFT's settings, each under `part.name`."""
    try:
        stated = _table(json.loads(text), path)
    except ValueError as error:
        raise UnreadableFileError(path, "a LoRA", f"its {_METADATA} is no JSON") from error
    parts: dict[str, dict[str, Any]] = {}
    for key, value in stated.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = value
    return dict(parts)


def _table(content: object, path: Path) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise UnreadableFileError(path, "an adapter's settings", "they are no table of keys")
    return content


def _base_class(config: Mapping[str, Any]) -> tuple[str, bool]:
    """The class of the network it was trained on, where PEFT says it, and whether that is diffusers'."""
    mapping = config.get("auto_mapping")
    if not isinstance(mapping, dict):
        return "", False
    library = str(mapping.get("parent_library", ""))
    return str(mapping.get("base_model_class", "")), library.partition(".")[0] == "diffusers"
