"""Images that were made elsewhere, as an ImageSet."""

from collections.abc import Callable, Iterable
from pathlib import Path

from benchmark.core.errors import UnreadableFileError
from benchmark.core.hashing import sha256_file, sha256_json
from benchmark.core.naming import name_of
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, PromptSet, Sampler
from benchmark.evaluate.layouts import Layout, find_rows
from benchmark.evaluate.listing import Row, prompts_of

EXTERNAL = "external"
ENDINGS = (".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet", ".txt")
"""What the name of a listing may end in without being called so."""


def read_images(
    path: Path,
    layout: Layout | None = None,
    prompts: Path | None = None,
    name: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> ImageSet:
    """Images with their texts, in one of the layouts that people have them in.

    ``jsonl``: a file of ``{prompt, image_path[, id, prompt_id, seed, style, tags, attribute, values,
    template]}``. Paths are relative to the file. Which rows are of one prompt, and in which order, is said in
    :mod:`benchmark.evaluate.listing`.
    ``folder``: images, also in folders below, with a ``metadata.jsonl`` or ``.csv`` of ``{file_name, text}``,
    or beside each image its ``.txt``.
    ``hps``: HPS v2's ``<style>/<index>.jpg``, whose texts are the HPD v2 benchmark's.
    ``geneval``: ``<prompt>/samples/<k>.png`` with ``<prompt>/metadata.jsonl``.

    Args:
        path: The file or folder.
        layout: One of those; None: the one that it looks like.
        prompts: For ``hps``: the folder of ``<style>.json``, or a file; None: the images' own folder.
        name: Of the checkpoint; empty: the file's or folder's own.
        tell: Called with a line about what lies in the folder and is in no row.

    Raises:
        UserError: if it is not there, cannot be read or holds no image, or a prompt is empty. An image that
            is not where its row says is no error here: its record says that it is missing.
    """
    rows = find_rows(path, layout, prompts, tell)
    root = path if path.is_dir() else path.parent
    try:
        return _image_set(path, root, rows, name or name_of(path, ENDINGS) or EXTERNAL)
    except (KeyError, TypeError, ValueError) as error:
        why = f"a row lacks {error}" if isinstance(error, KeyError) else error
        do = "each row needs prompt and image_path"
        raise UnreadableFileError(path, "images with prompts", why, do=do) from error


def _image_set(path: Path, root: Path, rows: Iterable[Row], name: str) -> ImageSet:
    listed = prompts_of(rows)
    records = tuple(
        _record(asked.prompt.id, k, root / entry.image) if entry else _absent(asked.prompt.id, k, root)
        for asked in listed
        for k, entry in enumerate(asked.images)
    )
    prompts = tuple(asked.prompt for asked in listed)
    said = [[p.id, p.text, p.style, *([p.attribute] if p.attribute else [])] for p in prompts]
    digest = sha256_json(said)
    prompt_set = PromptSet(name, digest[:8], prompts, digest, source=path.name)
    content = sha256_json([digest, [(r.prompt_id, r.seed, r.sha256) for r in records]])
    checkpoint = Checkpoint(name, EXTERNAL, EXTERNAL, revision=content[:16])
    # How the images were made is not known, and the signature says so.
    sampler = Sampler(name=EXTERNAL, steps=1, guidance=0.0)
    ks = tuple(range(max(len(asked.images) for asked in listed)))
    return ImageSet(content[:16], checkpoint, prompt_set, sampler, ks, records)


def _record(key: str, k: int, file: Path) -> ImageRecord:
    try:
        if not file.is_file():
            return ImageRecord(key, k, file, status="missing", note=f"no file at {file}")
        return ImageRecord(key, k, file, sha256_file(file))
    except OSError as error:
        return ImageRecord(key, k, file, status="error", note=f"cannot read {file}: {error.strerror}")


def _absent(key: str, k: int, root: Path) -> ImageRecord:
    return ImageRecord(key, k, root, status="missing", note="other prompts have an image of this seed")
