"""Files of tensors: what is wrong with one before any library is asked, and the names it holds.

A file may be empty, cut off, or something else under its name. No torch here, but where a pickle is read.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.models.files import ENDINGS

Shapes = Mapping[str, tuple[int, ...]]

_RECORDS = frozenset({
    "epoch", "global_step", "step", "iteration", "optimizer", "optimizer_states", "lr_scheduler",
    "lr_schedulers", "callbacks", "loops", "hparams_name", "hyper_parameters", "pytorch-lightning_version",
})  # fmt: skip
"""What trainers note beside weights and what changes no picture."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_OTHERS = {
    ".onnx": "ONNX", ".plan": "TensorRT", ".engine": "TensorRT", ".trt": "TensorRT", ".gguf": "GGUF",
    ".msgpack": "Flax", ".h5": "Keras", ".mlmodelc": "Core ML", ".tflite": "TensorFlow Lite",
}  # fmt: skip


def refuse_damaged(path: Path, expected: str) -> None:
    """Refuses a file of weights that is not whole, naming what it is and how to mend that.

    Args:
        path: A safetensors file or a torch pickle.
        expected: What it should be, in words.

    Raises:
        MissingFileError: if it is not there.
        UnreadableFileError: if it is empty, a Git LFS pointer, a web page, cut off, or of another format.
    """
    if not path.is_file():
        raise MissingFileError(path, expected, do="copy it there, or name one that is there")
    if path.suffix in _OTHERS:
        kind = _OTHERS[path.suffix]
        raise UnreadableFileError(
            path,
            expected,
            f"it is a {kind} file",
            do="give the .safetensors file or the diffusers folder it came from",
        )
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(1024)
        if size == 0:
            _refuse(path, expected, "it is empty")
        if start.startswith(_POINTER):
            raise UnreadableFileError(
                path, expected, "it is a Git LFS pointer, not the weights", do="`git lfs pull` fetches them"
            )
        if start.lstrip()[:1] == b"<":
            _refuse(path, expected, "it is a web page: a download that went wrong, or needs a login")
        if path.suffix == ".safetensors":
            length = int.from_bytes(start[:8], "little")
            file.seek(8)
            header = file.read(length) if 8 + length <= size else b""
            whole = 8 + length + _end_of_data(header, path, expected) if header else 8 + length
            if size < whole:
                _cut_off(path, expected, size, whole, is_header=start[8:9] == b"{")
    if start.startswith(b"PK") and not zipfile.is_zipfile(path):
        _refuse(path, expected, f"it is cut off after {size:,} bytes")


def _end_of_data(header: bytes, path: Path, expected: str) -> int:
    """Where a safetensors file's last number ends, behind the header."""
    try:
        said = json.loads(header)
        return max(
            (int(s["data_offsets"][1]) for name, s in said.items() if name != "__metadata__"), default=0
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFileError(path, expected, "its header is damaged", do=_AGAIN) from error


def _cut_off(path: Path, expected: str, size: int, whole: int, *, is_header: bool) -> None:
    why = f"it is cut off: {size:,} of {whole:,} bytes" if is_header else "it is no safetensors file"
    _refuse(path, expected, why)


def _refuse(path: Path, expected: str, why: str) -> None:
    raise UnreadableFileError(path, expected, why, do=_AGAIN)


_AGAIN = "fetch or copy it again"


def named_shapes(file: Path) -> tuple[Shapes, Mapping[str, str]]:
    """The shape of each tensor by name, and what a safetensors file states of itself; nothing is loaded.

    Args:
        file: `.safetensors`, of which only the header is read, or a pickle of torch (`.ckpt`, `.pt`, `.pth`,
            `.bin`), which is opened for weights only.

    Raises:
        UserError: if it is damaged, no file of weights, or a pickle of more than weights.
    """
    refuse_damaged(file, "a file of weights")
    if file.suffix not in ENDINGS:
        raise UserError(f"{file} is no file of weights", allowed=", ".join(ENDINGS))
    return _safetensors(file) if file.suffix == ".safetensors" else _pickle(file)


def read_pickle(file: Path, *, beside: bool = True) -> dict[str, Any]:
    """The tensors of a pickle by name, out of the `state_dict` they may lie in.

    Args:
        file: The pickle.
        beside: Whether more than the training's own records may lie beside the `state_dict`; it is not read.

    Raises:
        UserError: if it cannot be read, or holds objects that only code could make.
    """
    import pickle

    import torch

    try:
        mapped = zipfile.is_zipfile(file)  # older pickles are no archives, and are read at once
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise UnreadableFileError(
            file,
            "a file of weights",
            f"it holds Python objects, such as {named[1]}, which could run code" if named else error,
            do="save its weights as .safetensors where you trust it",
        ) from error
    # A damaged archive shows as an error of torch, of zip files or of the system.
    except Exception as error:
        raise UnreadableFileError(file, "a file of weights", error, do="fetch or copy it again") from error
    while isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        unread = sorted(str(name) for name in content.keys() - {"state_dict"} - _RECORDS)
        if unread and not beside:
            raise UnreadableFileError(
                file,
                "a file of weights",
                f"beside its state_dict it states {', '.join(unread[:3])}, which nothing here reads",
                do="save the tensors alone, each layer with its alpha",
            )
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise UnreadableFileError(file, "a file of weights", f"it holds a {type(content).__name__}")
    return {str(name): value for name, value in content.items()}


def _safetensors(file: Path) -> tuple[Shapes, Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            names = list(opened.keys())
            return {
                name: tuple(opened.get_slice(name).get_shape()) for name in names
            }, opened.metadata() or {}
    except SafetensorError as error:
        raise UnreadableFileError(file, "a file of weights", error, do="fetch or copy it again") from error


def _pickle(file: Path) -> tuple[Shapes, Mapping[str, str]]:
    content = read_pickle(file)
    return {name: tuple(getattr(value, "shape", ())) for name, value in content.items()}, {}
