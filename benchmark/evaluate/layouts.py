"""Where images made elsewhere lie and where their texts stand: from a path to rows, one an image.

A row is ``{prompt, image_path[, id, prompt_id, seed, style, tags]}``; see :mod:`benchmark.evaluate.listing`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.store import read_json
from benchmark.evaluate.listing import Row

Layout: TypeAlias = Literal["jsonl", "folder", "hps", "geneval"]

IMAGES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
PACKED: Final = (".parquet", ".arrow", ".tar", ".zip")
METADATA: Final = "metadata.jsonl"
HPS_STYLES: Final = ("anime", "concept-art", "paintings", "photo")
"""Of the HPD v2 benchmark, 800 prompts each."""

_SHAPES: Final[Mapping[Layout, str]] = {
    "jsonl": "a JSONL file of {prompt, image_path}",
    "folder": f"images with {METADATA} of {{file_name, text}} or a .txt beside each",
    "hps": "anime/00000.jpg, concept-art/..., paintings/..., photo/... with --prompts",
    "geneval": "00000/samples/0000.png with 00000/metadata.jsonl",
}


def find_rows(path: Path, layout: Layout | None = None, prompts: Path | None = None) -> list[Row]:
    """The rows of a file or folder.

    Args:
        path: The file or folder.
        layout: What it is; None: the one that it looks like.
        prompts: For ``hps``: a folder of ``<style>.json``, a list of texts each, or one JSON file of
            ``{style: texts}``. None: the images' own folder.

    Raises:
        UserError: if it is of no layout or of several, is not of the one stated, or its texts are missing.
    """
    chosen = layout_of(path, layout)
    if prompts is not None and chosen != "hps":
        raise UserError(f"--prompts is for the layout hps, and {path} is {chosen}", do="leave it out")
    read: dict[Layout, Callable[[], Iterable[Row]]] = {
        "jsonl": lambda: json_rows(path),
        "folder": lambda: _folder_rows(path),
        "hps": lambda: _hps_rows(path, prompts or path),
        "geneval": lambda: _geneval_rows(path),
    }
    rows = list(read[chosen]())
    if not rows:
        raise UnreadableFileError(path, "images with prompts", "it holds none")
    return rows


def layout_of(path: Path, stated: Layout | None = None) -> Layout:
    """What a path is: as it is stated, or what it looks like.

    Raises:
        UserError: if it is not there, is of no layout or of several, is not of the one stated, or is a file
            that holds images in itself.
    """
    if not path.exists():
        raise MissingFileError(path, "JSONL file or folder of images")
    if path.is_file() and path.suffix.lower() in PACKED:
        raise UserError(
            f"{path} holds its images in itself",
            allowed="image files with their texts",
            do="write its images to files, and beside them a JSONL of {prompt, image_path}",
        )
    chosen = stated or _recognised(path)
    if path.is_dir() == (chosen == "jsonl"):
        raise UserError(f"{path} is no {chosen} layout", allowed=f"{chosen}: {_SHAPES[chosen]}")
    return chosen


def _recognised(path: Path) -> Layout:
    if path.is_file():
        return "jsonl"
    found: list[Layout] = []
    if (path / METADATA).is_file() or _images(path):
        found.append("folder")
    if any((path / style).is_dir() for style in HPS_STYLES):
        found.append("hps")
    if any((place / "samples").is_dir() for place in _numbered(path)):
        found.append("geneval")
    if len(found) != 1:
        what = f"{path} could be {' or '.join(found)}" if found else f"{path} holds no images that have texts"
        raise UserError(
            what,
            allowed="; ".join(f"{name}: {shape}" for name, shape in _SHAPES.items()),
            do="say which with --layout" if found else "",
        )
    return found[0]


def json_rows(path: Path) -> list[Row]:
    """The objects of a JSONL file.

    Raises:
        UnreadableFileError: if it is not UTF-8, or a line is no object; names the line.
    """
    expected = "JSONL rows {prompt, image_path}"
    rows: list[Row] = []
    # Lines end at a line feed only: `str.splitlines` would also cut at characters that stand in JSON text.
    for number, line in enumerate(read_text(path, expected).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UnreadableFileError(path, expected, f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise UnreadableFileError(path, expected, f"line {number} is not an object")
        rows.append(row)
    return rows


def read_text(path: Path, what: str) -> str:
    """A UTF-8 file, with or without a byte order mark.

    Raises:
        UnreadableFileError: if it is none.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise UnreadableFileError(path, what, error, do="save it as UTF-8") from error


def _folder_rows(folder: Path) -> Iterator[Row]:
    if (folder / METADATA).is_file():
        for row in json_rows(folder / METADATA):
            name, text = row.get("file_name"), row.get("text", row.get("prompt"))
            if not isinstance(name, str) or not isinstance(text, str):
                raise UnreadableFileError(
                    folder / METADATA, "rows {file_name, text}", "a row lacks one of them"
                )
            yield {**row, "prompt": text, "image_path": name}
        return
    for image in _images(folder):
        beside = image.with_suffix(".txt")
        if not beside.is_file():
            raise UserError(
                f"{image} has no text",
                allowed=f"{METADATA} with {{file_name, text}}, or {beside.name} beside it",
                do="or give a JSONL of {prompt, image_path}",
            )
        text = read_text(beside, "the image's text").strip()
        if not text:
            raise UnreadableFileError(beside, "the image's text", "it is empty")
        yield {"prompt": text, "image_path": image.name}


def _hps_rows(folder: Path, prompts: Path) -> Iterator[Row]:
    """A row for each prompt of each style that has a folder: an image that is not there is a row as well."""
    for style in HPS_STYLES:
        if not (folder / style).is_dir():
            continue
        texts = _hps_texts(style, prompts)
        there = {int(image.stem): image for image in _images(folder / style) if image.stem.isdecimal()}
        if there and max(there) >= len(texts):
            raise UserError(
                f"{there[max(there)]} has no prompt: {style} has {len(texts)}",
                do="images are counted from 0, in the order of the prompts",
            )
        for index, text in enumerate(texts):
            image = there.get(index, folder / style / f"{index:05d}.jpg")
            name = str(image.relative_to(folder))
            # Some texts occur twice, and are two prompts all the same.
            yield {"prompt_id": f"{style}-{index:05d}", "prompt": text, "image_path": name, "tags": [style]}


def _hps_texts(style: str, prompts: Path) -> list[str]:
    file = prompts / f"{style}.json" if prompts.is_dir() else prompts
    if not file.is_file():
        raise UserError(
            f"no texts for the images of {style}: no file at {file}",
            do=f"--prompts names the folder of {style}.json, or a file of {{style: texts}}",
        )
    content = read_json(file, "a list of prompts")
    found = content.get(style) if isinstance(content, dict) else content
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise UnreadableFileError(
            file, f"the prompts of {style}", "it is neither a list of texts nor {style: texts}"
        )
    if file == prompts and isinstance(content, list) and file.stem != style:
        raise UnreadableFileError(
            file, f"the prompts of {style}", "a list alone is of the style it is named after"
        )
    return found


def _geneval_rows(folder: Path) -> Iterator[Row]:
    places = _numbered(folder)
    samples = {place: [p for p in _images(place / "samples") if p.stem.isdecimal()] for place in places}
    first = min((int(image.stem) for images in samples.values() for image in images), default=0)
    for place in places:
        if not (place / METADATA).is_file():
            raise MissingFileError(place / METADATA, "texts of geneval")
        facts = json_rows(place / METADATA)
        if len(facts) != 1 or not isinstance(facts[0].get("prompt"), str):
            raise UnreadableFileError(place / METADATA, 'geneval\'s {"tag", "include", "prompt"}')
        tags = [facts[0]["tag"]] if facts[0].get("tag") else []
        common = {"prompt_id": place.name, "prompt": facts[0]["prompt"], "tags": tags}
        for image in samples[place]:
            yield {**common, "image_path": str(image.relative_to(folder)), "seed": int(image.stem)}
        if not samples[place]:
            yield {**common, "image_path": f"{place.name}/samples/{first:04d}.png", "seed": first}


def _images(folder: Path) -> list[Path]:
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(p for p in there if p.suffix.lower() in IMAGES and not p.name.startswith("."))


def _numbered(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and re.fullmatch(r"\d+", p.name))
