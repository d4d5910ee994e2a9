"""Where images made elsewhere lie and where their texts stand: from a path to rows, one an image.

A row is ``{prompt, image_path[, id, prompt_id, seed, style, tags]}``; see :mod:`benchmark.evaluate.listing`.
Which files below a folder are images, `benchmark.core.image_files` says; those that are in no row are told.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.image_files import ImageFiles, counted, find_images
from benchmark.core.store import read_json
from benchmark.core.strict import table_rows
from benchmark.core.words import number_of
from benchmark.evaluate.listing import Row

Layout: TypeAlias = Literal["jsonl", "folder", "hps", "geneval"]

PACKED: Final = (".parquet", ".arrow", ".tar", ".zip")
METADATA: Final = "metadata.jsonl"
METADATA_NAMES: Final = (METADATA, "metadata.csv")
"""Files that hold the texts of a folder's images, as `datasets` reads them."""
HPS_STYLES: Final = ("anime", "concept-art", "paintings", "photo")
"""Of the HPD v2 benchmark, 800 prompts each."""

_SHAPES: Final[Mapping[Layout, str]] = {
    "jsonl": "a JSONL file of {prompt, image_path}",
    "folder": f"images with {METADATA} of {{file_name, text}} or a .txt beside each",
    "hps": "anime/00000.jpg, concept-art/..., paintings/..., photo/... with --prompts",
    "geneval": "00000/samples/0000.png with 00000/metadata.jsonl",
}


def find_rows(
    path: Path,
    layout: Layout | None = None,
    prompts: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """The rows of a file or folder.

    Args:
        path: The file or folder.
        layout: What it is; None: the one that it looks like.
        prompts: For ``hps``: a folder of ``<style>.json``, a list of texts each, or one JSON file of
            ``{style: texts}``. None: the images' own folder.
        tell: Called with a line about what lies in the folder and is in no row, and what is in several.

    Raises:
        UserError: if it is of no layout or of several, is not of the one stated, or its texts are missing.
    """
    files = find_images(path) if path.is_dir() else None
    chosen = layout_of(path, layout, files)
    if prompts is not None and chosen != "hps":
        raise UserError(f"--prompts is for the layout hps, and {path} is {chosen}", do="leave it out")
    if files is None:
        rows = json_rows(path)
    else:
        read: dict[Layout, Callable[[], Iterable[Row]]] = {
            "folder": lambda: _folder_rows(files),
            "hps": lambda: _hps_rows(path, prompts or path),
            "geneval": lambda: _geneval_rows(path),
        }
        rows = list(read[chosen]())
        tell(_left_over(files, rows, chosen))
    if not rows:
        raise UnreadableFileError(path, "images with prompts", "it holds none")
    tell(_listed_twice(rows))
    return rows


def layout_of(path: Path, stated: Layout | None = None, files: ImageFiles | None = None) -> Layout:
    """The layout of a path: as it is stated, or as it looks.

    Args:
        path: The file or folder.
        stated: By the user.
        files: What lies in the folder, where that is known already.

    Raises:
        UserError: if it is not there, is of no layout or of several, is not of the one stated, or is a file
            that holds images in itself.
    """
    if not path.exists():
        raise MissingFileError(
            path,
            "JSONL file or folder of images",
            allowed="a folder of images, or a JSONL file with a row an image",
            do="name where the images lie; `fbench score --help` shows the layouts",
        )
    if path.is_file() and path.suffix.lower() in PACKED:
        raise UserError(
            f"{path} holds its images in itself",
            allowed="image files with their texts",
            do="write its images to files, and beside them a JSONL of {prompt, image_path}",
        )
    chosen = stated or _recognised(path, files or (find_images(path) if path.is_dir() else None))
    if path.is_dir() == (chosen == "jsonl"):
        raise UserError(f"{path} is no {chosen} layout", allowed=f"{chosen}: {_SHAPES[chosen]}")
    return chosen


def _recognised(path: Path, files: ImageFiles | None) -> Layout:
    if files is None:
        return "jsonl"
    found: list[Layout] = []
    if any((path / style).is_dir() for style in HPS_STYLES):
        found.append("hps")
    if any((place / "samples").is_dir() for place in _numbered(path)):
        found.append("geneval")
    # Images further down are a folder's where they are no other layout's.
    own = [image for image in files.images if image.parent == path or not found]
    if own or any((path / name).is_file() for name in METADATA_NAMES):
        found.insert(0, "folder")
    if len(found) != 1:
        passed_over = files.passed_over()
        what = f"{path} could be {' or '.join(found)}" if found else f"{path} holds no images that have texts"
        raise UserError(
            f"{what} ({passed_over})" if passed_over and not found else what,
            allowed="; ".join(f"{name}: {shape}" for name, shape in _SHAPES.items()),
            do="say which with --layout" if found else "",
        )
    return found[0]


def _left_over(files: ImageFiles, rows: Iterable[Row], layout: Layout) -> str:
    """In words what lies in a folder and is in no row; empty if nothing does."""
    folder = files.folder
    used = {_plain(folder / str(row["image_path"])) for row in rows}
    images = [path for path in files.images if _plain(path) not in used]
    stems = {path.with_suffix("") for path in files.images}
    lists = [
        path for path in files.others if path.name in (*METADATA_NAMES, *(f"{s}.json" for s in HPS_STYLES))
    ]
    texts = [path for path in files.others if layout == "folder" and path.suffix.lower() == ".txt"]
    lone = [path for path in texts if path.with_suffix("") not in stems]
    parts = [
        counted(images, folder, "has no prompt", "have no prompt", "image"),
        counted(lone, folder, "has no image", "have no image", "text"),
        files.passed_over([*lists, *texts]),
    ]
    return "; ".join(part for part in parts if part)


def _listed_twice(rows: Iterable[Row]) -> str:
    """In words which images stand more than once under one prompt; empty if none does."""
    counts = Counter(
        tuple(str(row.get(key)) for key in ("image_path", "prompt", "prompt_id")) for row in rows
    )
    names = [image for (image, *_), count in counts.items() if count > 1]
    dots = " ..." if len(names) > 3 else ""
    number = number_of(len(names), "image stands", "images stand")
    sentence = f"{number} more than once under one prompt, and count so often: {', '.join(names[:3])}{dots}"
    return sentence if names else ""


def _plain(path: Path) -> str:
    """A path without `.` and `..`, links kept."""
    return os.path.normpath(path)


def json_rows(path: Path) -> list[Row]:
    """The objects of a JSONL file.

    Raises:
        UnreadableFileError: if it is not UTF-8, a line is no object, or states a key twice; names the line.
    """
    return _table(path, "JSONL rows {prompt, image_path}")


def _table(path: Path, expected: str) -> list[Row]:
    text = read_text(path, expected)
    try:
        return [row for _, row in table_rows(text, ".csv" if path.suffix.lower() == ".csv" else ".jsonl")]
    except ValueError as error:
        raise UnreadableFileError(path, expected, error) from error


def read_text(path: Path, what: str) -> str:
    """A UTF-8 file, with or without a byte order mark.

    Raises:
        UnreadableFileError: if it is none.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise UnreadableFileError(path, what, error, do="save it as UTF-8") from error


def _folder_rows(files: ImageFiles) -> Iterator[Row]:
    folder = files.folder
    metadata = [path for path in files.others if path.name in METADATA_NAMES]
    metadata = [path for path in metadata if path.parent == folder] or metadata
    for file in metadata:
        if len([other for other in metadata if other.parent == file.parent]) > 1:
            raise UserError(
                f"{file.parent} has both {' and '.join(METADATA_NAMES)}", do="take one of them away"
            )
        for row in _table(file, "rows {file_name, text}"):
            name, text = row.get("file_name"), row.get("text", row.get("prompt"))
            if not isinstance(name, str) or not isinstance(text, str):
                raise UnreadableFileError(file, "rows {file_name, text}", "a row lacks one of them")
            place = file.parent.relative_to(folder) / name
            yield {**row, "prompt": text, "image_path": str(place)}
    if metadata:
        return
    texts = {path.with_suffix(""): path for path in files.others if path.suffix.lower() == ".txt"}
    for image in files.images:
        beside = texts.get(image.with_suffix(""))
        if beside is None and texts and image.parent != folder:
            continue  # told with what else has no prompt
        if beside is None:
            raise UserError(
                f"{image} has no text",
                allowed=f"{METADATA} with {{file_name, text}}, or {image.stem}.txt beside it",
                do="or give a JSONL of {prompt, image_path}",
            )
        text = read_text(beside, "the image's text").strip()
        if not text:
            raise UnreadableFileError(beside, "the image's text", "it is empty")
        yield {"prompt": text, "image_path": image.relative_to(folder).as_posix()}


def _hps_rows(folder: Path, prompts: Path) -> Iterator[Row]:
    """A row for each prompt of each style that has a folder: an image that is not there is a row as well."""
    for style in HPS_STYLES:
        if not (folder / style).is_dir():
            continue
        texts = _hps_texts(style, prompts)
        there = _by_index(folder / style)
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
    samples = {place: _by_index(place / "samples") for place in places}
    first = min((k for images in samples.values() for k in images), default=0)
    for place in places:
        if not (place / METADATA).is_file():
            raise MissingFileError(place / METADATA, "texts of geneval", do="copy the whole folder again")
        facts = json_rows(place / METADATA)
        if len(facts) != 1 or not isinstance(facts[0].get("prompt"), str):
            raise UnreadableFileError(place / METADATA, 'geneval\'s {"tag", "include", "prompt"}')
        tags = [facts[0]["tag"]] if facts[0].get("tag") else []
        common = {"prompt_id": place.name, "prompt": facts[0]["prompt"], "tags": tags}
        for k, image in samples[place].items():
            yield {**common, "image_path": str(image.relative_to(folder)), "seed": k}
        if not samples[place]:
            yield {**common, "image_path": f"{place.name}/samples/{first:04d}.png", "seed": first}


def _by_index(folder: Path) -> dict[int, Path]:
    """The images side by side in a folder that are named by a number, in the order of their names.

    Raises:
        UserError: if two are of one number; one of them would be lost.
    """
    found: dict[int, Path] = {}
    for image in find_images(folder).images if folder.is_dir() else ():
        if image.parent != folder or not image.stem.isdecimal():
            continue
        other = found.setdefault(int(image.stem), image)
        if other != image:
            raise UserError(
                f"{folder} has two images of number {int(image.stem)}: {other.name} and {image.name}",
                do="take one of them away",
            )
    return found


def _numbered(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and re.fullmatch(r"\d+", p.name))
