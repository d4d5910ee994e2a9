"""Images that were made elsewhere, as ImageSets: of one model, or of several side by side."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.core.console import notice
from benchmark.core.errors import NotComparableError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_file, sha256_json
from benchmark.core.naming import fit_name, name_of, told_apart
from benchmark.core.records import EXTERNAL, Checkpoint, ImageRecord, ImageSet, PromptSet, Sampler
from benchmark.core.words import number_of
from benchmark.evaluate.config import ScoreConfig
from benchmark.evaluate.layouts import Layout, find_rows, layout_of
from benchmark.evaluate.listing import Row, prompts_of
from benchmark.leaderboard.comparability import prompt_difference, prompt_ids_in

ENDINGS = (".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet", ".txt")
"""Endings of a listing's file that are not part of its name."""


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
        return image_set(rows, root, name or name_of(path, ENDINGS) or EXTERNAL, path.name)
    except (KeyError, TypeError, ValueError) as error:
        why = f"a row lacks {error}" if isinstance(error, KeyError) else error
        do = "each row needs prompt and image_path"
        raise UnreadableFileError(path, "images with prompts", why, do=do) from error


def image_set(rows: Iterable[Row], root: Path, name: str, source: str = "") -> ImageSet:
    """The images of some rows.

    Args:
        rows: As of :func:`benchmark.evaluate.listing.prompts_of`.
        root: What their paths are relative to.
        name: Of the checkpoint.
        source: Where the prompts come from, in words.

    Raises:
        KeyError: as of that function, and so the rest.
        TypeError: likewise.
        ValueError: likewise.
    """
    listed = prompts_of(rows)
    records = tuple(
        _record(each.prompt.id, k, root / entry.image) if entry else _absent(each.prompt.id, k, root)
        for each in listed
        for k, entry in enumerate(each.images)
    )
    prompts = tuple(each.prompt for each in listed)
    contents = [[p.id, p.text, p.style, *([p.attribute] if p.attribute else [])] for p in prompts]
    digest = sha256_json(contents)
    prompt_set = PromptSet(name, digest[:8], prompts, digest, source=source)
    content = sha256_json([digest, [(r.prompt_id, r.seed, r.sha256) for r in records]])
    checkpoint = Checkpoint(name, EXTERNAL, EXTERNAL, revision=content[:16])
    # How the images were made is not known, and the signature says so.
    sampler = Sampler(name=EXTERNAL, steps=1, guidance=0.0)
    ks = tuple(range(max(len(each.images) for each in listed)))
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


def read_side_by_side(config: ScoreConfig) -> list[ImageSet]:
    """The images of ``fbench score``, one set a path, all of them of the first one's prompts.

    Args:
        config: The settings.

    Raises:
        UserError: as of :func:`read_images`; if a path is given twice, or a name is, or cannot be one of a
            file.
        NotComparableError: if two sets are of different prompts or numbers of images.
    """
    names = names_of(config.path, config.name)
    layouts = [layout_of(path, config.layout) for path in config.path]
    sets = []
    for path, layout, name in zip(config.path, layouts, names, strict=True):
        # A layout that brings its texts needs none from elsewhere; if none needs them, reading refuses them.
        elsewhere = layout == "hps" or "hps" not in layouts
        sets.append(read_images(path, layout, config.prompts if elsewhere else None, name, notice))
    return [sets[0], *(of_same_prompts(images, sets[0]) for images in sets[1:])]


def names_of(paths: Sequence[Path], given: Sequence[str] = ()) -> list[str]:
    """The names of the checkpoints behind some paths.

    Args:
        paths: Files and folders.
        given: One name a path, or none: then each is called as its file or folder, and those of one name have
            the folder in front that tells them apart.

    Raises:
        UserError: if a path or a name is given twice, or a name cannot be one of a file.
    """
    for path, count in Counter(path.resolve() for path in paths).items():
        if count > 1:
            raise UserError(f"{path} is given {count} times", do="name it once")
    if not given:
        return told_apart([name_of(path, ENDINGS) or EXTERNAL for path in paths], paths)
    if len(given) != len(paths):
        raise UserError(
            f"{number_of(len(paths), 'path')} and {len(given)} of --name",
            do="give one for each path, in order, or none",
        )
    for name, count in Counter(given).items():
        if count > 1:
            raise UserError(f"--name {shlex.quote(name)} is given {count} times", do="give each path its own")
        if fit_name(name) != name or not name:
            fit = fit_name(name) or EXTERNAL
            raise UserError(
                f"--name {shlex.quote(name)} cannot be part of a file's name", do=f"--name {shlex.quote(fit)}"
            )
    return list(given)


def of_same_prompts(images: ImageSet, first: ImageSet) -> ImageSet:
    """The images under the ids that their prompts have in another set.

    Args:
        images: A set.
        first: The one that names the prompts.

    Raises:
        NotComparableError: if the two are of different prompts or numbers of images.
    """
    ours, theirs = ({p.id: p.content for p in each.prompt_set} for each in (first, images))
    ids = prompt_ids_in(ours, theirs)
    k, own_k = len(first.seeds), len(images.seeds)
    if ids is None or k != own_k:
        counts = f"up to {number_of(k, 'image')} a prompt in one and {own_k} in the other"
        why = prompt_difference(ours, theirs) if ids is None else counts
        raise NotComparableError(
            f"{first.checkpoint.id} and {images.checkpoint.id} are not comparable: {why}",
            do="score them apart, each with its own --out",
        )
    position = {prompt.id: i for i, prompt in enumerate(first.prompt_set)}
    records = [replace(record, prompt_id=ids[record.prompt_id]) for record in images]
    ordered = sorted(records, key=lambda record: (position[record.prompt_id], record.seed))
    return replace(images, prompt_set=first.prompt_set, records=tuple(ordered))
