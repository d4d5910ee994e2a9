"""``fbench eval``: check, load, generate, score, rank."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.console import doing, notice
from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingRowsError, UserError
from benchmark.core.locks import held
from benchmark.core.manifest import track
from benchmark.core.records import Checkpoint, ImageSet, Sampler, ScoreRow
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.costs import Tally
from benchmark.evaluate.plan import EvalPlan, plan
from benchmark.evaluate.results import EvalResult, columns_of, write_results
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress, generate, with_distances
from benchmark.leaderboard import read_score_table
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.scorers import Scorer

if TYPE_CHECKING:
    from benchmark.models.families.base import Pipeline


def evaluate(config: EvalConfig, *, command: str | None = None) -> EvalResult:
    """Evaluates checkpoints of one base model; what is there already is not done again.

    Args:
        config: The settings.
        command: As typed, for the manifest; None for this process's own.

    Returns:
        The leaderboard and where everything is. Rows without a value are counted, not raised: see
        :meth:`EvalResult.raise_if_missing`.

    Raises:
        UserError: for anything that is wrong with the inputs, before the first image is made.
        InUseError: if another command is writing to the folder, but for other shards of this evaluation.
    """
    agenda = plan(config)
    with ExitStack() as stack:
        shard = agenda.shard.suffix
        everything = config.model_dump(mode="json")
        stack.enter_context(held(config.out, _shared_by(config) if shard else everything, shared=bool(shard)))
        if shard:
            # Shards are at work side by side, but none of them twice.
            stack.enter_context(held(config.out, everything, name=f".lock{shard}"))
        return _evaluate(config, agenda, command)


def _shared_by(config: EvalConfig) -> dict[str, object]:
    """The settings that commands of one folder share: all but whose images they make."""
    return {k: v for k, v in config.model_dump(mode="json").items() if k not in {"checkpoint", "shard"}}


def _evaluate(config: EvalConfig, agenda: EvalPlan, command: str | None) -> EvalResult:
    clock = _Clock()
    with clock("start"):
        device = choose_device(config.device)
        with doing(f"loading {config.base} and its checkpoints"):
            base = load_pipeline(config.base, device, offline=config.offline, precision=config.precision)
            sampler = config.sampling(base.sampler)
            checkpoints = _open_all(agenda, base)
        cache, loaded = ScoreCache(config.out), Loaded(device)
        loaded.load(s for s in agenda.scorers if not _scored(checkpoints, agenda, sampler, cache, s))
    if agenda.scorers:
        _tell_who_leaves(config.out, checkpoints)
    result = None
    # Missing rows are the result's to tell; the manifest notes them as well.
    with (
        suppress(MissingRowsError),
        track(config.out, "eval", config, device=device, command=command) as manifest,
    ):
        for checkpoint in checkpoints:
            manifest.add_input(checkpoint.id, checkpoint.revision or "")
        manifest.add_input(agenda.prompt_set.name, agenda.prompt_set.sha256)
        image_sets, rows = [], list[ScoreRow]()
        for spec, checkpoint in zip(config.checkpoint, checkpoints, strict=True):
            with clock("generate"):
                image_sets.append(_generate(spec, checkpoint, agenda, base, sampler))
            if agenda.scorers:
                with clock("score"):
                    rows += _score(image_sets[-1], agenda, loaded, cache)
        if not agenda.scorers:
            return EvalResult(config.out, None, tuple(image_sets), seconds=clock.seconds)
        with clock("rank"):
            columns = columns_of(agenda.scorers, checkpoints, config.primary_names)
            result = write_results(
                rows,
                image_sets,
                columns,
                config.out,
                manifest,
                reference=config.reference,
                seconds=clock.seconds,
            )
        result.raise_if_missing()
    assert result is not None
    return result


def _tell_who_leaves(out: Path, checkpoints: Sequence[Checkpoint]) -> None:
    """Says whom an earlier table had and the new one lacks."""
    evaluated = {checkpoint.id for checkpoint in checkpoints}
    # A table that cannot be read any more is written anew.
    with suppress(UserError):
        gone = [one.id for one in read_score_table(out).checkpoints if one.id not in evaluated]
        if gone:
            notice(
                f"the table in {out} had {', '.join(gone)} as well, and the new one is of those named now; "
                "images and scores stay, and naming them again brings them back"
            )


def prepare(config: EvalConfig) -> dict[str, float]:
    """Generates and scores, and leaves the table to a later `evaluate` into the same folder.

    What one of several worker processes does for its share of the checkpoints: images and scores are kept by
    content, so that workers never meet.

    Returns:
        Wall time by part.

    Raises:
        InUseError: if another command is writing to the folder, but for other workers of this evaluation.
    """
    with held(config.out, _shared_by(config), shared=True):
        return _prepare(config)


def _prepare(config: EvalConfig) -> dict[str, float]:
    clock = _Clock()
    with clock("start"):
        agenda = plan(config)
        base = load_pipeline(
            config.base, choose_device(config.device), offline=config.offline, precision=config.precision
        )
        sampler = config.sampling(base.sampler)
        checkpoints = _open_all(agenda, base)
        cache, loaded = ScoreCache(config.out), Loaded(choose_device(config.device))
    for spec, checkpoint in zip(config.checkpoint, checkpoints, strict=True):
        with clock("generate"):
            images = _generate(spec, checkpoint, agenda, base, sampler)
        with clock("score"):
            _score(images, agenda, loaded, cache)
    return clock.seconds


def _open_all(agenda: EvalPlan, base: "Pipeline") -> list[Checkpoint]:
    """Opens every checkpoint once before the first image is made, and keeps only the records.

    Raises:
        UserError: if one cannot be opened, or two have one id.
    """
    found: dict[str, Checkpoint] = {}
    for spec in agenda.config.checkpoint:
        checkpoint, _ = open_checkpoint(spec, base, offline=agenda.config.offline)
        if checkpoint.id in found:
            raise UserError(
                f"checkpoint {spec} has the id {checkpoint.id}, as another one has", do="name it once"
            )
        found[checkpoint.id] = checkpoint
    if agenda.config.reference and agenda.config.reference not in found:
        raise UserError(f"--reference is {agenda.config.reference}", allowed=", ".join(found))
    return list(found.values())


def _scored(
    checkpoints: Sequence[Checkpoint], agenda: EvalPlan, sampler: Sampler, cache: ScoreCache, scorer: Scorer
) -> bool:
    """Whether a scorer seems to have nothing left to do, so that a finished evaluation starts quickly."""
    ks = tuple(range(agenda.config.images_per_prompt))
    ids = [ImageSet.content_id(c, agenda.prompt_set, sampler, ks) for c in checkpoints]
    return all(cache.has_any(id_, scorer) for id_ in ids)


def _generate(
    spec: str, checkpoint: Checkpoint, agenda: EvalPlan, base: "Pipeline", sampler: Sampler
) -> ImageSet:
    _, policy = open_checkpoint(spec, base, offline=agenda.config.offline)
    ks = tuple(range(agenda.config.images_per_prompt))
    content = ImageSet.content_id(checkpoint, agenda.prompt_set, sampler, ks)
    tally = Tally(agenda.config.out, agenda.shard.suffix)
    with console_progress(f"generating {checkpoint.id}") as tell, tally.counting(content, tell) as heard:
        images = generate(
            checkpoint,
            policy,
            agenda.prompt_set,
            sampler,
            agenda.config.images_per_prompt,
            agenda.config.out,
            shard=agenda.shard,
            progress=heard,
        )
    if not agenda.config.distance:
        return images
    with console_progress(f"distance of {checkpoint.id}") as tell, tally.counting(content, tell) as heard:
        return with_distances(images, policy, base, agenda.config.out, shard=agenda.shard, progress=heard)


def _score(images: ImageSet, agenda: EvalPlan, loaded: Loaded, cache: ScoreCache) -> list[ScoreRow]:
    tally = Tally(agenda.config.out)
    with (
        console_progress(f"scoring {images.checkpoint.id}") as tell,
        tally.counting(images.id, tell) as heard,
    ):
        return score_all(images, agenda.scorers, loaded, cache, heard)


class _Clock:
    """Wall time by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - start
