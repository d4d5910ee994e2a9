"""Finished evaluations, from what lies in their folders: images and report page; no model is loaded."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.manifest import FILE_NAME, Manifest, read_manifest, read_manifest_of
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Leaderboard, Prompt, PromptSet, Sampler
from benchmark.evaluate.config import EvalConfig, ScoreConfig
from benchmark.evaluate.external_images import read_side_by_side
from benchmark.evaluate.training_runs import curves_of, training_runs
from benchmark.generate.index import ImageIndex, image_key
from benchmark.leaderboard import ScoreTable, read_score_table
from benchmark.leaderboard.comparability import prompt_ids_in
from benchmark.models import default_sampling, model_facts
from benchmark.prompt_sets import load_prompt_set
from benchmark.report.page import PageSource


def read_image_sets(folder: Path) -> list[ImageSet]:
    """The images that an evaluation's numbers are about, one set a checkpoint.

    Args:
        folder: Of ``fbench eval`` or ``fbench score``.

    Returns:
        In the order of the leaderboard; an image that is gone, or is not the one that was made, is a record
        with the status ``missing``.

    Raises:
        UserError: if the folder holds no evaluation, its prompts are gone, or images that were scored from
            elsewhere are not those any more.
    """
    manifest = read_manifest_of(folder, "eval", "score")
    if manifest.kind == "score":
        return _of_score(folder, ScoreConfig.parse(manifest.config, source=str(folder)))
    config = EvalConfig.parse(manifest.config, source=str(folder))
    table = read_score_table(folder)
    sampler = sampler_of(config, table)
    prompt_set = load_prompt_set(config.prompts, config.limit, config.prompt_column, offline=config.offline)
    ks = tuple(range(config.images_per_prompt))
    return [_found(folder, checkpoint, prompt_set, sampler, ks) for checkpoint in table.checkpoints]


def _of_score(folder: Path, config: ScoreConfig) -> list[ImageSet]:
    sets = read_side_by_side(config)
    if not (folder / "scores.parquet").is_file():
        return sets
    scored = {checkpoint.revision for checkpoint in read_score_table(folder).checkpoints}
    for path, images in zip(config.path, sets, strict=True):
        if images.checkpoint.revision not in scored:
            raise UserError(
                f"the images in {path} have changed since they were scored", do="score them again"
            )
    return sets


def sampler_of(config: EvalConfig, table: ScoreTable) -> Sampler:
    """How a finished evaluation's images were made."""
    sampler = config.sampling(default_sampling(model_facts(config.base)))
    for half in ("bf16", "fp16"):
        # `auto` was settled on the machine that made the images.
        if f"precision:{half}" in table.signature.split("|"):
            return replace(sampler, precision=half)
    return sampler


def _found(
    folder: Path, checkpoint: Checkpoint, prompt_set: PromptSet, sampler: Sampler, ks: tuple[int, ...]
) -> ImageSet:
    records = found_images(folder, checkpoint, tuple(prompt_set), sampler, ks)
    content = ImageSet.content_id(checkpoint, prompt_set, sampler, ks)
    return ImageSet(content, checkpoint, prompt_set, sampler, ks, tuple(records))


def found_images(
    folder: Path, checkpoint: Checkpoint, prompts: Sequence[Prompt], sampler: Sampler, ks: Sequence[int]
) -> list[ImageRecord]:
    """The images that lie in an evaluation's folder, a record for each prompt and k.

    Args:
        folder: The evaluation's.
        checkpoint: Who made them.
        prompts: For what.
        sampler: How.
        ks: Which of each prompt.

    Returns:
        In the order of the prompts; ``missing`` where there is none, or another one.
    """
    place = folder / "images" / checkpoint.id
    index = ImageIndex(place)
    records = []
    for prompt in prompts:
        for k in ks:
            path = place / f"{prompt.id}_{k}.png"
            sha256 = index.find(path.name, image_key(checkpoint, prompt.text, k, sampler))
            record = ImageRecord(prompt.id, k, path, sha256)
            why = "not the image scored" if path.is_file() else "no picture here"
            gone = ImageRecord(prompt.id, k, path, status="missing", note=f"{why}: {path}")
            records.append(record if sha256 else gone)
    return records


def page_source(leaderboard: Leaderboard, table: ScoreTable, places: Sequence[Path]) -> PageSource:
    """The source of a leaderboard's page: the ranking and all that is shown beside it.

    Args:
        leaderboard: The ranking.
        table: The rows it was built from, joined.
        places: The evaluations' folders; a ``scores.parquet`` alone has neither manifest nor pictures.

    Returns:
        The source; where pictures or prompts are gone, a note in their place.
    """
    sets: dict[str, ImageSet] = {}
    manifests, training, notes = list[Manifest](), dict[Path, Manifest](), list[str]()
    for place in places:
        folder = place if place.is_dir() else place.parent
        if not (folder / FILE_NAME).is_file():
            notes.append(f"No pictures of {place}: no evaluation lies there.")
            continue
        try:
            manifests.append(read_manifest(folder))
            training |= training_runs(manifests[-1])
            for images in read_image_sets(folder):
                named = _named_as_in(table, images, sets)
                sets.setdefault(named.checkpoint.id, named)
        except UserError as error:
            notes.append(f"No pictures of {place}: {error}.")
    # In the order of the arguments, each once.
    unique = {manifest.model_dump_json(): manifest for manifest in (*manifests, *training.values())}
    curves = tuple(curves_of(folder, manifest) for folder, manifest in training.items())
    return PageSource(leaderboard, table, tuple(sets.values()), tuple(unique.values()), curves, tuple(notes))


def _named_as_in(table: ScoreTable, images: ImageSet, taken: Collection[str]) -> ImageSet:
    """The images with the names that their checkpoint and prompts have in a table.

    Raises:
        UserError: if they are not the images that were scored.
    """
    own = images.checkpoint
    alike = [c.id for c in table.checkpoints if c.revision == own.revision]
    if not alike:
        raise UserError(f"the images of {own.id} are not those that were scored")
    name = own.id if own.id in alike else next((id_ for id_ in alike if id_ not in taken), alike[0])
    ids = prompt_ids_in(table.prompts, {prompt.id: prompt.content for prompt in images.prompt_set})
    # A table of before prompts were written down has no other names than theirs.
    ids = ids or {prompt.id: prompt.id for prompt in images.prompt_set}
    prompts = tuple(replace(prompt, id=ids[prompt.id]) for prompt in images.prompt_set)
    return replace(
        images,
        checkpoint=replace(own, id=name),
        prompt_set=replace(images.prompt_set, prompts=prompts),
        records=tuple(replace(record, prompt_id=ids[record.prompt_id]) for record in images),
    )
