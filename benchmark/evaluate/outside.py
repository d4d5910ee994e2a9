"""Images that were made elsewhere, as an ImageSet."""

from collections.abc import Callable, Iterable
from pathlib import Path

from benchmark.core.errors import UnreadableFileError
from benchmark.core.hashing import sha256_file, sha256_json
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler
from benchmark.evaluate.layouts import Layout, Row, find_rows
from benchmark.prompt_sets.attributes import attribute_of

EXTERNAL = "external"


def read_images(
    path: Path,
    layout: Layout | None = None,
    prompts: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> ImageSet:
    """Images with their texts, in one of the layouts that people have them in.

    ``jsonl``: a file of ``{id, prompt, image_path[, seed, style, tags, attribute, values, template]}``. Rows
    of one ``id`` are images of one prompt; without ``seed`` they are counted. Paths are relative to the file.
    ``folder``: images, also in folders below, with a ``metadata.jsonl`` or ``.csv`` of ``{file_name, text}``,
    or beside each image its ``.txt``.
    ``hps``: HPS v2's ``<style>/<index>.jpg``, whose texts are the HPD v2 benchmark's.
    ``geneval``: ``<prompt>/samples/<k>.png`` with ``<prompt>/metadata.jsonl``.

    Args:
        path: The file or folder.
        layout: One of those; None: the one that it looks like.
        prompts: For ``hps``: the folder of ``<style>.json``, or a file; None: the images' own folder.
        tell: Called with a line about what lies in the folder and is in no row.

    Raises:
        UserError: if it is not there, cannot be read or holds no image, or a prompt is empty. An image that
            is not where its row says is no error here: its record says that it is missing.
    """
    rows = find_rows(path, layout, prompts, tell)
    root = path if path.is_dir() else path.parent
    try:
        return _image_set(path, root, rows)
    except (KeyError, TypeError, ValueError) as error:
        why = f"a row lacks {error}" if isinstance(error, KeyError) else error
        do = "each row needs id, prompt and image_path"
        raise UnreadableFileError(path, "images with prompts", why, do=do) from error


def _image_set(path: Path, root: Path, rows: Iterable[Row]) -> ImageSet:
    prompts: dict[str, Prompt] = {}
    records: dict[tuple[str, int], ImageRecord] = {}
    counted: dict[str, int] = {}
    for row in rows:
        key = str(row["id"])
        prompt = _prompt(key, row)
        if prompts.setdefault(key, prompt) != prompt:
            raise ValueError(f"id {key!r} stands for two prompts")
        k = int(row["seed"]) if row.get("seed") is not None else counted.get(key, 0)
        counted[key] = counted.get(key, 0) + 1
        if (key, k) in records:
            raise ValueError(f"id {key!r} has two images of seed {k}")
        records[key, k] = _record(key, k, root / row["image_path"])
    seeds = tuple(sorted({k for _, k in records}))
    known = [records.get((key, k)) or _absent(key, k, root) for key in prompts for k in seeds]
    asked = [[p.id, p.text, p.style, *([p.attribute] if p.attribute else [])] for p in prompts.values()]
    digest = sha256_json(asked)
    prompt_set = PromptSet(path.stem, digest[:8], tuple(prompts.values()), digest, source=path.name)
    content = sha256_json([digest, [(r.prompt_id, r.seed, r.sha256) for r in known]])
    checkpoint = Checkpoint(path.stem.lstrip(".") or EXTERNAL, EXTERNAL, EXTERNAL, revision=content[:16])
    # How the images were made is not known, and the signature says so.
    sampler = Sampler(name=EXTERNAL, steps=1, guidance=0.0)
    return ImageSet(content[:16], checkpoint, prompt_set, sampler, seeds, tuple(known))


def _prompt(key: str, row: Row) -> Prompt:
    text, path, tags = row["prompt"], row["image_path"], row.get("tags") or ()
    if not isinstance(text, str) or not isinstance(path, str):
        raise TypeError(f"id {key!r} has a prompt or an image_path that is no text")
    # Half an emoji, as programs leave it that cut at a length, is no text for any tokenizer.
    text.encode()
    words = tags.replace(";", " ").split() if isinstance(tags, str) else map(str, tags)
    return Prompt(key, text, tuple(words), row.get("style") or None, attribute=attribute_of(row, text))


def _record(key: str, k: int, file: Path) -> ImageRecord:
    if not file.is_file():
        return ImageRecord(key, k, file, status="missing", note=f"no file at {file}")
    try:
        return ImageRecord(key, k, file, sha256_file(file))
    except OSError as error:
        return ImageRecord(key, k, file, status="error", note=f"cannot read {file}: {error.strerror}")


def _absent(key: str, k: int, root: Path) -> ImageRecord:
    return ImageRecord(key, k, root, status="missing", note="other prompts have an image of this seed")
