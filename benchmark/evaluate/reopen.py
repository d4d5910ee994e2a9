"""The images of a finished evaluation, found again from its folder: no model is loaded."""

from dataclasses import replace
from pathlib import Path

from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.manifest import read_manifest
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, PromptSet, Sampler
from benchmark.evaluate.config import EvalConfig, ScoreConfig
from benchmark.evaluate.side_by_side import read_side_by_side
from benchmark.generate.index import ImageIndex, image_key
from benchmark.leaderboard import ScoreTable, read_score_table
from benchmark.models import model_facts
from benchmark.prompt_sets import load_prompt_set


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
    manifest = read_manifest(folder)
    if manifest.kind == "score":
        return _of_score(folder, ScoreConfig.parse(manifest.config, source=str(folder)))
    if manifest.kind != "eval":
        raise UnreadableFileError(folder, "an evaluation", f"it holds a run of `{manifest.kind}`")
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
    sampler = config.sampling(model_facts(config.base).sampler)
    for half in ("bf16", "fp16"):
        # `auto` was settled on the machine that made the images.
        if f"precision:{half}" in table.signature.split("|"):
            return replace(sampler, precision=half)
    return sampler


def _found(
    folder: Path, checkpoint: Checkpoint, prompt_set: PromptSet, sampler: Sampler, ks: tuple[int, ...]
) -> ImageSet:
    place = folder / "images" / checkpoint.id
    index = ImageIndex(place)
    records = []
    for prompt in prompt_set:
        for k in ks:
            path = place / f"{prompt.id}_{k}.png"
            sha256 = index.find(path.name, image_key(checkpoint, prompt.text, k, sampler))
            record = ImageRecord(prompt.id, k, path, sha256)
            gone = ImageRecord(prompt.id, k, path, status="missing", note=f"not the image scored: {path}")
            records.append(record if sha256 else gone)
    content = ImageSet.content_id(checkpoint, prompt_set, sampler, ks)
    return ImageSet(content, checkpoint, prompt_set, sampler, ks, tuple(records))
