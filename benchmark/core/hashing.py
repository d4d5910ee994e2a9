"""Content hashes: every cache key and every input in a manifest is one of these."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def sha256_bytes(data: bytes) -> str:
    """The hex digest of some bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The hex digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_path(path: Path) -> str:
    """The hex digest of a file, or of a folder: of the names and contents of all files below it."""
    if not path.is_dir():
        return sha256_file(path)
    return sha256_files(path, sorted(p for p in path.rglob("*") if p.is_file()))


def sha256_files(folder: Path, files: Iterable[Path]) -> str:
    """The hex digest of some files below a folder: of their names and contents."""
    return sha256_json({p.relative_to(folder).as_posix(): sha256_file(p) for p in files})


def sha256_json(value: object) -> str:
    """The hex digest of a record, or of anything made of plain values: equal content, equal hash.

    Example:
        >>> sha256_json({"a": 1, "b": (2, 3)}) == sha256_json({"b": [2, 3], "a": 1})
        True
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256_bytes(text.encode())


def plain(value: object) -> Any:
    """A record as JSON can hold it: dataclasses and mappings as dicts, tuples as lists, paths as text.

    Raises:
        TypeError: for a value that has no plain form; a guess would make two contents look equal.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, Path):
        return value.as_posix()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no plain form")
