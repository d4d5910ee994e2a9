"""Several models' images of the same prompts, side by side: what each is called, which prompts are one."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.naming import fit_name, name_of, told_apart
from benchmark.core.notices import notice
from benchmark.core.records import ImageSet
from benchmark.evaluate.config import ScoreConfig
from benchmark.evaluate.layouts import layout_of
from benchmark.evaluate.outside import ENDINGS, EXTERNAL, read_images
from benchmark.leaderboard.comparability import prompt_difference, prompt_ids_in


def read_side_by_side(config: ScoreConfig) -> list[ImageSet]:
    """The images of ``fbench score``, one set a path, all of them of the first one's prompts.

    Args:
        config: The settings.

    Raises:
        UserError: as of :func:`benchmark.evaluate.outside.read_images`; if a path is given twice, or a name
            is, or cannot be one of a file.
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


def names_of(paths: Sequence[Path], asked: Sequence[str] = ()) -> list[str]:
    """What the checkpoints behind some paths are called.

    Args:
        paths: Files and folders.
        asked: One name a path, or none: then each is called as its file or folder, and those of one name have
            the folder in front that tells them apart.

    Raises:
        UserError: if a path or a name is given twice, or a name cannot be one of a file.
    """
    for path, count in Counter(path.resolve() for path in paths).items():
        if count > 1:
            raise UserError(f"{path} is given {count} times", do="name it once")
    if not asked:
        return told_apart([name_of(path, ENDINGS) or EXTERNAL for path in paths], paths)
    if len(asked) != len(paths):
        raise UserError(
            f"{len(paths)} paths and {len(asked)} of --name", do="give one for each path, in order, or none"
        )
    for name, count in Counter(asked).items():
        if count > 1:
            raise UserError(f"--name {shlex.quote(name)} is given {count} times", do="give each path its own")
        if fit_name(name) != name or not name:
            fit = fit_name(name) or EXTERNAL
            raise UserError(
                f"--name {shlex.quote(name)} cannot be part of a file's name", do=f"--name {shlex.quote(fit)}"
            )
    return list(asked)


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
        counts = f"up to {k} images a prompt in one and {own_k} in the other"
        why = prompt_difference(ours, theirs) if ids is None else counts
        raise NotComparableError(
            f"{first.checkpoint.id} and {images.checkpoint.id} are not comparable: {why}",
            do="score them apart, each with its own --out",
        )
    position = {prompt.id: i for i, prompt in enumerate(first.prompt_set)}
    records = [replace(record, prompt_id=ids[record.prompt_id]) for record in images]
    ordered = sorted(records, key=lambda record: (position[record.prompt_id], record.seed))
    return replace(images, prompt_set=first.prompt_set, records=tuple(ordered))
