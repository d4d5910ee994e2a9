"""What is wrong with a file before any library is asked: empty, cut off, or something else under its name."""

import json
import zipfile
from pathlib import Path

from benchmark.core.errors import MissingFileError, UnreadableFileError

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
        raise MissingFileError(path, expected)
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
