"""``fbench frontier``: check, load, generate, choose, score."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingRowsError, NotComparableError
from benchmark.core.hashing import sha256_json
from benchmark.core.locks import held
from benchmark.core.manifest import track
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Sampler, ScorerColumn, ScoreRow
from benchmark.evaluate.results import columns_of, score_table
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress, generate
from benchmark.leaderboard import ScoreTable, read_score_table, rows_to_frame, write_score_table
from benchmark.leaderboard.frontiers import best_of_point, guidance_point
from benchmark.leaderboard.optimum_lines import OPTIMUM_COLUMNS
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.frontier.plan import FrontierPlan, plan_frontier, signature_of

if TYPE_CHECKING:
    from benchmark.models.families.base import Pipeline

FILE = "scores.parquet"


@dataclass(frozen=True)
class FrontierResult:
    """A finished frontier.

    Attributes:
        folder: Where it is.
        table: The base first, then its points; `benchmark.leaderboard.frontiers.frontiers_of` reads it.
        image_sets: What was scored, in the same order.
        n_missing: Rows that a failed image or scorer left without a value.
        betas: Of the optima, from weak to strong.
        n_dropped: Images of the pool without a reward, which the optima are not over.
    """

    folder: Path
    table: ScoreTable
    image_sets: tuple[ImageSet, ...]
    n_missing: int
    betas: tuple[float, ...] = ()
    n_dropped: int = 0

    def raise_if_missing(self) -> None:
        """Ends a command with the exit code for rows that are missing.

        Raises:
            MissingRowsError: if there are any.
        """
        if self.n_missing:
            raise MissingRowsError(self.n_missing, len(self.table.rows), self.folder / FILE)


def make_frontier(config: FrontierConfig, *, command: str | None = None) -> FrontierResult:
    """Samples the base model of an evaluation in other ways and scores that; what is there is not done again.

    Images, features and scores are kept in the evaluation's own folder, which has some of them.

    Args:
        config: The settings.
        command: As typed, for the manifest; None for this process's own.

    Returns:
        The table and where it lies. Rows without a value are counted, not raised: see
        :meth:`FrontierResult.raise_if_missing`.

    Raises:
        UserError: for anything that is wrong with the inputs, before the first image is made.
        InUseError: if another command is writing to either folder.
    """
    plan = plan_frontier(config)
    device = choose_device(config.device)
    base = load_pipeline(
        plan.evaluation.base, device, offline=config.offline, precision=plan.sampler.precision
    )
    checkpoint, _ = open_checkpoint("base", base, offline=config.offline)
    _check_base(plan, checkpoint)
    sampler = plan.evaluation.sampling(base.sampler)
    loaded = Loaded(device)
    loaded.load(plan.scorers)
    result = None
    # Missing rows are the result's to tell; the manifest notes them as well.
    with (
        suppress(MissingRowsError),
        held(config.evaluation, config.model_dump(mode="json")),
        held(config.out, config.model_dump(mode="json")),
        track(config.out, "frontier", config, device=device, command=command) as manifest,
    ):
        manifest.add_input(config.evaluation / FILE)
        manifest.add_input(checkpoint.id, checkpoint.revision or "")
        manifest.add_input(plan.prompt_set.name, plan.prompt_set.sha256)
        work = _Work(plan, base, checkpoint, sampler, loaded, ScoreCache(config.evaluation))
        made = work.optima() if plan.optima else work.sampled()
        columns = [column for column in made.table.columns if column.name not in OPTIMUM_COLUMNS]
        table = replace(made.table, signature=signature_of(plan, sampler, columns))
        path = write_score_table(table, config.out / FILE)
        manifest.add_output(path)
        result = replace(made, table=read_score_table(path))
        result.raise_if_missing()
    assert result is not None
    return result


@dataclass(frozen=True)
class _Work:
    """Who makes and scores the images of one frontier."""

    plan: FrontierPlan
    base: "Pipeline"
    checkpoint: Checkpoint
    sampler: Sampler
    loaded: Loaded
    cache: ScoreCache

    def sampled(self) -> FrontierResult:
        """Guidance scales and best of n, scored."""
        image_sets, rows = list[ImageSet](), list[ScoreRow]()
        for images in self.image_sets():
            image_sets.append(images)
            rows += self.scored(images)
        table = score_table(rows_to_frame(rows), image_sets, self.columns([i.checkpoint for i in image_sets]))
        n_missing = sum(row.failed for row in rows)
        return FrontierResult(self.plan.config.out, table, tuple(image_sets), n_missing)

    def optima(self) -> FrontierResult:
        """The optima of the reward, as weights on the pool."""
        from benchmark.workflows.frontier.optimum import default_betas, optimum_table
        from benchmark.workflows.frontier.pool import pool_of

        plan, reward = self.plan, self.plan.chooser
        assert reward is not None, "the plan has one"
        images = self._images(self.checkpoint, self.sampler, plan.pool_per_prompt)
        single = [scorer for scorer in plan.scorers if scorer.unit == "image"]
        with console_progress("scoring the pool") as tell:
            rows = score_all(images, single, self.loaded, self.cache, tell)
        with console_progress("comparing pairs") as tell:
            pool = pool_of(images, rows, plan.scorers, self.cache.kept, tell)
        rewards = pool.values(reward.name)
        betas = plan.config.betas or default_betas(rewards)
        columns = columns_of(plan.scorers, (), plan.evaluation.primary_names)
        table = optimum_table(pool, self.checkpoint, plan.optima, reward, columns, betas)
        marked = tuple(
            replace(c, in_domain=tuple(p.id for p in table.checkpoints[1:])) if c.name == reward.name else c
            for c in table.columns
        )
        # A scorer that failed on an image left it out of a mean; one that fails on pairs has no mean.
        failed = int((table.rows["status"] == "error").sum())
        n_missing = failed + sum(row.status == "error" for row in rows)
        return FrontierResult(
            plan.config.out, replace(table, columns=marked), (images,), n_missing, tuple(betas),
            int(np.isnan(rewards).sum()),
        )  # fmt: skip

    def image_sets(self) -> Iterator[ImageSet]:
        """The base's own images, those of the guidance scales, the best of n."""
        k, plan = self.plan.images_per_prompt, self.plan
        yield (own := self._images(self.checkpoint, self.sampler, k))
        for scale in plan.scales:
            point = guidance_point(self.checkpoint, scale)
            if scale == self.sampler.guidance:
                yield _renamed(own, point)
            else:
                yield self._images(point, replace(self.sampler, guidance=scale), k)
        if plan.chooser is None:
            return
        pool = self._images(self.checkpoint, self.sampler, plan.pool_per_prompt)
        with console_progress(f"choosing by {plan.chooser.name}") as tell:
            scores = score_all(pool, [plan.chooser], self.loaded, self.cache, tell)
        for n in plan.config.best_of:
            yield best_of(
                pool, scores, n, k, best_of_point(self.checkpoint, n, plan.chooser.name),
                higher_is_better=plan.chooser.higher_is_better,
            )  # fmt: skip

    def scored(self, images: ImageSet) -> list[ScoreRow]:
        """The rows of all scorers for one image set."""
        with console_progress(f"scoring {images.checkpoint.id}") as tell:
            return score_all(images, self.plan.scorers, self.loaded, self.cache, tell)

    def columns(self, checkpoints: Sequence[Checkpoint]) -> tuple[ScorerColumn, ...]:
        """The scorers' facts; to the one that chose, the best of n are in-domain."""
        columns = columns_of(self.plan.scorers, checkpoints, self.plan.evaluation.primary_names)
        chosen = tuple(c.id for c in checkpoints if "best_of" in c.hyperparameters)
        return tuple(
            replace(c, in_domain=c.in_domain + chosen) if c.name == self.plan.by else c for c in columns
        )

    def _images(self, checkpoint: Checkpoint, sampler: Sampler, images_per_prompt: int) -> ImageSet:
        with console_progress(f"generating {checkpoint.id}") as tell:
            return generate(
                checkpoint, self.base, self.plan.prompt_set, sampler, images_per_prompt,
                self.plan.config.evaluation, progress=tell,
            )  # fmt: skip


def _renamed(images: ImageSet, checkpoint: Checkpoint) -> ImageSet:
    """The same images under another checkpoint's name."""
    content = ImageSet.content_id(checkpoint, images.prompt_set, images.sampler, images.seeds)
    return replace(images, id=content, checkpoint=checkpoint)


def _check_base(plan: FrontierPlan, base: Checkpoint) -> None:
    for known in plan.table.checkpoints:
        if known.id == base.id and known.revision != base.revision:
            raise NotComparableError(
                f"{plan.evaluation.base} has other weights than {plan.config.evaluation} was made with",
                do="evaluate again into another --out",
            )


def best_of(
    pool: ImageSet,
    scores: Iterable[ScoreRow],
    n: int,
    images_per_prompt: int,
    checkpoint: Checkpoint,
    *,
    higher_is_better: bool = True,
) -> ImageSet:
    r"""Image k of each prompt is the best of group k, $\{k, k + K, \dots, k + (n-1)K\}$.

    Groups are disjoint, so that the K images of a prompt stay independent; those of a smaller n are part of
    those of a larger one, and the group of 1 is the base's own image k. Of equal scores the lower number in
    the pool wins. An image without a score cannot be chosen; a group without any is a missing image.

    Args:
        pool: At least $nK$ images a prompt, numbered from 0.
        scores: Of the pool, by one scorer of unit image.
        n: How many images each is the best of.
        images_per_prompt: K.
        checkpoint: Under whose name the chosen images go.
        higher_is_better: The scorer's direction.

    Returns:
        A set of K images a prompt, numbered 0 to K - 1, that points to the files of the pool.
    """
    sign = 1.0 if higher_is_better else -1.0
    known = {(row.prompt_id, row.seed): sign * row.value for row in scores if row.value is not None}
    there = {(record.prompt_id, record.seed): record for record in pool.ok}
    chosen = []
    for prompt in pool.prompt_set:
        for k in range(images_per_prompt):
            group = [(prompt.id, k + i * images_per_prompt) for i in range(n)]
            able = [cell for cell in group if cell in known and cell in there]
            if able:
                # `max` keeps the first of equals.
                best = there[max(able, key=known.__getitem__)]
                chosen.append(replace(best, seed=k))
            else:
                chosen.append(_nothing(prompt.id, k, n))
    seen = [(r.prompt_id, r.seed, r.sha256, r.status) for r in chosen]
    content = sha256_json([pool.id, checkpoint.id, n, seen])[:16]
    return ImageSet(
        content, checkpoint, pool.prompt_set, pool.sampler, tuple(range(images_per_prompt)), tuple(chosen)
    )


def _nothing(prompt_id: str, k: int, n: int) -> ImageRecord:
    note = f"none of its {n} images has a score to choose by"
    return ImageRecord(prompt_id, k, Path(f"{prompt_id}_{k}.png"), status="missing", note=note)
