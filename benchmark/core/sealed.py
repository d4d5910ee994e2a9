"""Files of ours that carry a checksum: a cache or a state is either what was written, or it is not read.

A sealed file is its content and a last line, ``fbench sha256 <digest>``. Readers of arrays (numpy) and of zip
archives (torch) pass over the line, so a sealed file opens in place, without a copy.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from benchmark.core.errors import UnreadableFileError
from benchmark.core.store import atomic_file

_MARK: Final = b"\nfbench sha256 "
LENGTH: Final = len(_MARK) + 64 + 1
"""Bytes that a seal adds to a file."""
_CHUNK: Final = 1 << 20


@contextmanager
def sealed_file(path: Path) -> Iterator[Path]:
    """Yields a path to write to; at the end the file is sealed and takes its place, or vanishes on an error.

    Raises:
        UserError: if it cannot be written; see :func:`benchmark.core.store.atomic_file`.
    """
    with atomic_file(path) as temporary:
        yield temporary
        with temporary.open("rb") as file:
            digest = _digest(file, temporary.stat().st_size)
        with temporary.open("ab") as file:
            file.write(_MARK + digest + b"\n")


def is_whole(path: Path) -> bool:
    """Whether a sealed file is there and holds what was written; reads all of it."""
    try:
        with path.open("rb") as file:
            return _is_whole(file, path.stat().st_size)
    except OSError:
        return False


def read_sealed(path: Path, what: str = "a sealed file") -> bytes:
    """The content of a sealed file, without its seal.

    Args:
        path: The file.
        what: What it is, in words.

    Raises:
        UnreadableFileError: if it is not there, not sealed, or not what was written.
    """
    if not is_whole(path):
        raise UnreadableFileError(path, what, "it is damaged or not complete")
    return path.read_bytes()[:-LENGTH]


def _is_whole(file: BinaryIO, size: int) -> bool:
    content = size - LENGTH
    return content >= 0 and _MARK + _digest(file, content) + b"\n" == file.read()


def _digest(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.sha256()
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest().encode()
