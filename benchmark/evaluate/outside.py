"""Images that were made elsewhere, as an ImageSet."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_file, sha256_json
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler

EXTERNAL = "external"
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
METADATA = "metadata.jsonl"


def read_images(path: Path) -> ImageSet:
    """A JSONL of ``{id, prompt, image_path[, seed, style, tags]}``, or a folder of images with texts.

    Rows of one ``id`` are images of one prompt; without ``seed`` they are counted. Paths are relative to
    the file. A folder has a ``metadata.jsonl`` of ``{file_name, text}``, or beside each image its ``.txt``.

    Raises:
        UserError: if it is not there, cannot be read or holds no image. An image that is not where its row
            says is no error here: its record says that it is missing.
    """
    if not path.exists():
        raise MissingFileError(path, "JSONL file or folder of images")
    rows = list(_folder_rows(path)) if path.is_dir() else list(_json_rows(path))
    if not rows:
        raise UnreadableFileError(path, "images with prompts", "it holds none")
    root = path if path.is_dir() else path.parent
    try:
        return _image_set(path, root, rows)
    except (KeyError, TypeError, ValueError) as error:
        why = f"a row lacks {error}" if isinstance(error, KeyError) else error
        do = "each row needs id, prompt and image_path"
        raise UnreadableFileError(path, "images with prompts", why, do=do) from error


def _image_set(path: Path, root: Path, rows: Iterable[Mapping[str, Any]]) -> ImageSet:
    prompts: dict[str, Prompt] = {}
    records: dict[tuple[str, int], ImageRecord] = {}
    counted: dict[str, int] = {}
    for row in rows:
        key = str(row["id"])
        prompt = Prompt(key, str(row["prompt"]), tuple(row.get("tags") or ()), row.get("style") or None)
        if prompts.setdefault(key, prompt) != prompt:
            raise ValueError(f"id {key!r} stands for two prompts")
        k = int(row["seed"]) if row.get("seed") is not None else counted.get(key, 0)
        counted[key] = counted.get(key, 0) + 1
        if (key, k) in records:
            raise ValueError(f"id {key!r} has two images of seed {k}")
        records[key, k] = _record(key, k, root / str(row["image_path"]))
    seeds = tuple(sorted({k for _, k in records}))
    known = [records.get((key, k)) or _absent(key, k, root) for key in prompts for k in seeds]
    digest = sha256_json([[p.id, p.text, p.style] for p in prompts.values()])
    prompt_set = PromptSet(path.stem, digest[:8], tuple(prompts.values()), digest, source=path.name)
    content = sha256_json([digest, [(r.prompt_id, r.seed, r.sha256) for r in known]])
    checkpoint = Checkpoint(path.stem.lstrip(".") or EXTERNAL, EXTERNAL, EXTERNAL, revision=content[:16])
    # How the images were made is not known, and the signature says so.
    sampler = Sampler(name=EXTERNAL, steps=1, guidance=0.0)
    return ImageSet(content[:16], checkpoint, prompt_set, sampler, seeds, tuple(known))


def _record(key: str, k: int, file: Path) -> ImageRecord:
    if not file.is_file():
        return ImageRecord(key, k, file, status="missing", note=f"no file at {file}")
    return ImageRecord(key, k, file, sha256_file(file))


def _absent(key: str, k: int, root: Path) -> ImageRecord:
    return ImageRecord(key, k, root, status="missing", note="other prompts have an image of this seed")


def _json_rows(path: Path) -> Iterable[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise UnreadableFileError(path, "JSONL rows {id, prompt, image_path}", error) from error
    if not all(isinstance(row, dict) for row in rows):
        raise UnreadableFileError(path, "JSONL rows {id, prompt, image_path}", "a row is not an object")
    return rows


def _folder_rows(folder: Path) -> Iterable[dict[str, Any]]:
    if (folder / METADATA).is_file():
        for row in _json_rows(folder / METADATA):
            name, text = row.get("file_name"), row.get("text", row.get("prompt"))
            if not isinstance(name, str) or not isinstance(text, str):
                raise UnreadableFileError(
                    folder / METADATA, "rows {file_name, text}", "a row lacks one of them"
                )
            own = row.get("id") or sha256_json(text)[:12]
            yield {**row, "id": own, "prompt": text, "image_path": name}
        return
    for image in sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES):
        text = image.with_suffix(".txt")
        if not text.is_file():
            raise UserError(
                f"{image} has no text",
                allowed=f"{METADATA} with {{file_name, text}}, or {text.name} beside it",
                do="or give a JSONL of {id, prompt, image_path}",
            )
        words = text.read_text(encoding="utf-8").strip()
        yield {"id": sha256_json(words)[:12], "prompt": words, "image_path": image.name}
