"""Weights in a folder: half precision on disk, float32 in use, read strictly."""

import pickle
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmark.core.errors import MissingFileError, MissingWeightsError, UnreadableFileError
from benchmark.core.store import read_json


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a pickle that holds nothing but tensors, in float32.

    A pickle may hold them under ``state_dict``, as training scripts write them.

    Raises:
        MissingWeightsError: if there is no such file.
        UnreadableFileError: if it holds something else; a pickle's code is never run.
    """
    if not path.is_file():
        raise MissingWeightsError(f"no weights at {path}", do="`fbench doctor` says where they come from")
    try:
        found: Any = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except pickle.UnpicklingError as error:
        # torch's own message explains how to run the code that is in the file.
        why = "it is damaged or holds more than tensors, and nothing else is ever read from a pickle"
        raise UnreadableFileError(path, "weights", why) from error
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as error:
        raise UnreadableFileError(path, "weights", error) from error
    state = found.get("state_dict", found) if isinstance(found, Mapping) else {"the content": found}
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise UnreadableFileError(path, "weights", f"{key} is a {type(value).__name__} and no tensor")
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def _unpickled(path: Path) -> Any:
    # Mapped, not read: gigabytes are not copied. Files of torch before 1.6 are no zip archives and cannot be.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def without_weights() -> AbstractContextManager[None]:
    """The context to make a network in whose weights come from a file: none are drawn, buffers are real.

    Drawing those of a ViT-H takes longer than reading them.
    """
    context: AbstractContextManager[None] = init_empty_weights(include_buffers=False)
    return context


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
    """Fills a module; every missing, unexpected or misshapen key is an error, and named.

    Raises:
        UnreadableFileError: if the weights are not exactly those of the module, or not all are finite.
    """
    own = module.state_dict()
    wrong = [f"missing {k}" for k in own if k not in state]
    wrong += [f"unexpected {k}" for k in state if k not in own]
    wrong += [
        f"{k} is {tuple(state[k].shape)} and should be {tuple(v.shape)}"
        for k, v in own.items()
        if k in state and state[k].shape != v.shape
    ]
    if wrong:
        shown = ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
        raise UnreadableFileError(source, f"weights of {type(module).__name__}", shown)
    check_finite(state, source)
    # Taken, not copied: for a moment a large network would be in memory twice.
    module.load_state_dict(dict(state), strict=True, assign=True)


def check_finite(state: Mapping[str, Tensor], source: Path) -> None:
    """Refuses NaN and infinity, which some networks would turn into numbers that look like scores.

    Raises:
        UnreadableFileError: if a tensor holds one; names it.
    """
    for key, value in state.items():
        # Both ends are NaN where any number is; no second tensor of the size is made.
        if value.is_floating_point() and value.numel() and not torch.stack(value.aminmax()).isfinite().all():
            raise UnreadableFileError(source, "weights", f"{key} holds NaN or infinity")


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The settings beside a tower's weights.

    Raises:
        MissingWeightsError: if the folder or the file is not there.
        UnreadableFileError: if it is not a JSON object.
    """
    path = folder / name
    try:
        config = read_json(path, "settings of weights")
    except MissingFileError as error:
        raise MissingWeightsError(
            f"no weights at {folder}: {name} is not there", do="`fbench doctor` says more"
        ) from error
    if not isinstance(config, dict):
        raise UnreadableFileError(path, "settings of weights", "it is not an object")
    return config
