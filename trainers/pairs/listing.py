"""Listings of image files, `{prompt, preferred, rejected[, weight]}`: JSONL, one a line, or a JSON list.

HPD's lists are read too, and what is no list of pairs is refused by its name:
HPD v2 (`train.json`): `{prompt, file_path: [a, b], human_preference: [1, 0]}`, images below `train/`.
HPD v3: `{prompt, path1, path2}`, of which `path1` is the preferred one.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.records import ImageRef
from benchmark.core.strict import load_json
from trainers.pairs.records import Row

NAMES = ("pairs.jsonl", "metadata.jsonl", "train.json")
"""What a listing is called in a folder of images."""

_REMEDY: Final = (
    "write its pairs as JSONL of {prompt, preferred, rejected}, or as parquet in Pick-a-Pic's columns"
)
_REFUSED: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (frozenset({"img_better", "img_worse"}), "ImageRewardDB's pairs"),
    (frozenset({"image", "prompt_id", "rank"}), "ImageRewardDB's ranked images"),
    (frozenset({"image_path", "prompt_id", "rank"}), "ImageRewardDB's ranked images"),
    (frozenset({"generations", "ranking"}), "ImageReward's rankings"),
    (frozenset({"image_path", "rank"}), "HPD v2's rankings (test.json)"),
    (frozenset({"file_path", "human_preference"}), "HPD v2's train.json"),
    (frozenset({"path1", "path2"}), "HPD v3's list"),
    (frozenset({"image_0_uid", "image_0_url", "caption"}), "Pick-a-Pic without images"),
)
"""Known by these columns, the most telling first."""

_IMAGES: Final = frozenset({"jpg_0", "jpg_1"})
_KEYS: Final = ("prompt", "preferred", "rejected")


def listing_rows(path: Path, name: str) -> Iterator[Row]:
    """The pairs of a listing.

    Args:
        path: The file. Images are found from its folder, or from the folder in it that is called like it.
        name: What it is called in messages.

    Raises:
        UserError: if it cannot be read at all, or is of a layout without pairs.
    """
    if path.suffix.lower() == ".json":
        for number, entry in _list_entries(path):
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
    return _as_listed(path, found) if isinstance(found, dict) else "it is no JSON object"


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


# --- layouts --------------------------------------------------------------------------------------


def refuse_known_layout(path: Path, columns: Iterable[str]) -> None:
    """Refuses data of a layout that is known and cannot be read as pairs.

    Raises:
        UserError: with its name, and how to make pairs of it.
    """
    there = set(columns)
    for keys, what in _REFUSED:
        if keys <= there and not _IMAGES.issubset(there):
            raise UserError(f"{path} holds {what}, which is not read from such a file", do=_REMEDY)


def _list_entries(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """The entries of a JSON list of pairs, numbered from 1, with the keys of our listings.

    Yields:
        The number, and the entry or in words why it is none.

    Raises:
        UserError: if it is no list, or of a layout that cannot be read as pairs.
    """
    try:
        content = load_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(path, "a list of pairs", error) from error
    if not isinstance(content, list):
        raise UnreadableFileError(path, "a list of pairs", "it is no list", do=_REMEDY)
    for number, entry in enumerate(content, 1):
        yield number, _as_listed(path, entry) if isinstance(entry, dict) else "it is no JSON object"


def _as_listed(path: Path, entry: Mapping[str, Any]) -> Mapping[str, Any] | str:
    """An entry with the keys of our listings, or in words why it has no pair.

    Raises:
        UserError: if it is of a layout that cannot be read as pairs.
    """
    if all(key in entry for key in _KEYS):
        return entry
    if {"path1", "path2", "prompt"} <= entry.keys():
        return {"prompt": entry["prompt"], "preferred": entry["path1"], "rejected": entry["path2"]}
    if {"file_path", "human_preference", "prompt"} <= entry.keys():
        return _hpd_v2(entry)
    refuse_known_layout(path, entry)
    return f"it has no {', '.join(key for key in _KEYS if key not in entry)}"


def _hpd_v2(entry: Mapping[str, Any]) -> Mapping[str, Any] | str:
    files, preferred = entry["file_path"], entry["human_preference"]
    if not isinstance(files, list) or len(files) != 2 or preferred not in ([1, 0], [0, 1]):
        return "file_path and human_preference are not two images and [1, 0] or [0, 1]"
    better = preferred.index(1)
    return {"prompt": entry["prompt"], "preferred": files[better], "rejected": files[1 - better]}
