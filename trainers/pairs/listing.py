"""Listings of image files, `{prompt, preferred, rejected[, weight]}`: JSONL, one a line, or a JSON list."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import ImageRef
from benchmark.core.strict import load_json
from trainers.pairs.layouts import as_listed, list_entries
from trainers.pairs.records import Row

NAMES = ("pairs.jsonl", "metadata.jsonl", "train.json")
"""What a listing is called in a folder of images."""


def listing_rows(path: Path, name: str) -> Iterator[Row]:
    """The pairs of a listing.

    Args:
        path: The file. Images are found from its folder, or from the folder in it that is called like it.
        name: What it is called in messages.

    Raises:
        UserError: if it cannot be read at all, or is of a layout without pairs.
    """
    if path.suffix.lower() == ".json":
        for number, entry in list_entries(path):
            yield _row(entry, f"{name}:{number}", path)
        return
    try:
        # In bytes: a line that is not UTF-8 spoils itself and no other.
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if content.strip():
                    yield _row(_entry(content, path), f"{name}:{number}", path)
    except OSError as error:
        raise UnreadableFileError(path, "a listing of pairs", error) from error


def file_bytes(folder: Path, name: str) -> bytes | str:
    """The bytes of an image file, or in words why there are none.

    Args:
        folder: The name is relative to it.
        name: As it stands in the data.
    """
    return _read(folder / name)


def _entry(line: bytes, path: Path) -> Mapping[str, Any] | str:
    try:
        found = load_json(line)
    except ValueError as error:
        return str(error) if "stands twice" in str(error) else "it is no JSON"
    return as_listed(path, found) if isinstance(found, dict) else "it is no JSON object"


def _row(entry: Mapping[str, Any] | str, where: str, listing: Path) -> Row:
    if isinstance(entry, str):
        return Row(where, why=entry)
    names = (entry["preferred"], entry["rejected"])
    if not all(isinstance(name, str) and name for name in names):
        return Row(where, why="preferred and rejected are not both the path of an image")
    paths = [_found(listing, name) for name in names]
    return Row(
        where,
        entry["prompt"],
        tuple(ImageRef(path) for path in paths),
        tuple(_read(path) for path in paths),
        (1.0, 0.0),
        entry.get("weight", 1.0),
    )


def _found(listing: Path, name: str) -> Path:
    """Beside the listing, or as HPD has it: the images of `train.json` are below `train`."""
    inside = listing.parent / listing.stem / name
    try:
        return inside if listing.suffix.lower() == ".json" and inside.is_file() else listing.parent / name
    except ValueError:  # a zero byte in the name
        return listing.parent / name


def _read(path: Path) -> bytes | str:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no such name"
        return f"cannot read {path.name}: {why}"
