"""JSONL listings of image files: `{prompt, preferred, rejected[, weight]}`, one pair a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import ImageRef
from trainers.pairs.records import Row

NAMES = ("pairs.jsonl", "metadata.jsonl")
"""What a listing is called in a folder of images."""


def listing_rows(path: Path, name: str) -> Iterator[Row]:
    """The lines of a listing.

    Args:
        path: The file; images are found relative to its folder.
        name: What it is called in messages.

    Raises:
        UnreadableFileError: if it cannot be read at all.
    """
    try:
        # In bytes: a line that is not UTF-8 spoils itself and no other.
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _row(line, f"{name}:{number}", path.parent)
    except OSError as error:
        raise UnreadableFileError(path, "a listing of pairs", error) from error


def _row(line: bytes, where: str, folder: Path) -> Row:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return Row(where, why="it is no JSON")
    if not isinstance(found, dict):
        return Row(where, why="it is no JSON object")
    missing = [key for key in ("prompt", "preferred", "rejected") if key not in found]
    if missing:
        return Row(where, why=f"it has no {', '.join(missing)}")
    names = (found["preferred"], found["rejected"])
    if not all(isinstance(name, str) and name for name in names):
        return Row(where, why="preferred and rejected are not both the path of an image")
    paths = [folder / name for name in names]
    return Row(
        where,
        found["prompt"],
        tuple(ImageRef(path) for path in paths),
        tuple(_read(path) for path in paths),
        (1.0, 0.0),
        found.get("weight", 1.0),
    )


def _read(path: Path) -> bytes | str:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no such name"
        return f"cannot read {path.name}: {why}"
