"""The work of an evaluation: checkpoints opened, images made and scored, in this process."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias

from benchmark.core.console import doing
from benchmark.core.devices import choose_device
from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint, ImageSet, Sampler, ScoreRow, WorkerSpeed
from benchmark.evaluate.costs import Tally
from benchmark.evaluate.plan import EvalPlan
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all, score_part
from benchmark.generate import Progress, Shard, console_progress, generate, with_distances
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.scorers import Scorer

if TYPE_CHECKING:
    from benchmark.models.families.base import Pipeline


Telling: TypeAlias = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Scored:
    """A checkpoint's images and what scorers say of them, in the order of the scorers."""

    images: ImageSet
    rows: list[ScoreRow]


class Work(Protocol):
    """Whoever does an evaluation's work: this process, or others."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall time by part so far."""

    def start(self) -> list[Checkpoint]:
        """Opens every checkpoint and loads what fails early, before the first image is made.

        Raises:
            UserError: if one cannot be opened or loaded.
        """

    @property
    def device(self) -> str:
        """What it computes on; once started."""

    def scored(self, checkpoints: Sequence[Checkpoint]) -> Iterator[Scored]:
        """Makes and scores what is missing of each checkpoint, in their order."""

    def speeds(self) -> tuple[WorkerSpeed, ...]:
        """The part of each worker; none where this process did it all."""


class WorkHere:
    """The work in this process; models are loaded once, and only if there is something to do with them.

    Args:
        agenda: The checked evaluation.
        telling: Makes the progress of a job that is named in words.
    """

    def __init__(self, agenda: EvalPlan, telling: Telling = console_progress) -> None:
        self.agenda, self._telling = agenda, telling
        self.clock = Clock()
        self.cache = ScoreCache(agenda.config.out)
        self._opened: tuple[str, Checkpoint, Pipeline] | None = None

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall time by part."""
        return self.clock.seconds

    @cached_property
    def device(self) -> str:
        """What it computes on."""
        return choose_device(self.agenda.config.device)

    @cached_property
    def base(self) -> "Pipeline":
        """The base model."""
        config = self.agenda.config
        return load_pipeline(config.base, self.device, offline=config.offline, precision=config.precision)

    @cached_property
    def sampler(self) -> Sampler:
        """How images are made, the precision settled."""
        return self.agenda.config.sampling(self.base.sampler)

    @cached_property
    def loaded(self) -> Loaded:
        """The scorers that are loaded."""
        return Loaded(self.device)

    def start(self) -> list[Checkpoint]:
        """Opens every checkpoint, keeps only the records, and loads the scorers that have something to do."""
        with self.clock("start"):
            with doing(f"loading {self.agenda.config.base} and its checkpoints"):
                checkpoints = distinct(
                    self.agenda, [self.open(spec)[0] for spec in self.agenda.config.checkpoint]
                )
            self.load([s for s in self.agenda.scorers if not self._scored(checkpoints, s)])
        return checkpoints

    def scored(self, checkpoints: Sequence[Checkpoint]) -> Iterator[Scored]:
        """Makes and scores what is missing of each checkpoint, one after the other."""
        for spec, checkpoint in zip(self.agenda.config.checkpoint, checkpoints, strict=True):
            with self.clock("generate"):
                images = self.generate(spec, checkpoint, self.agenda.shard)
            with self.clock("score"):
                rows = self.score(images, self.agenda.scorers) if self.agenda.scorers else []
            yield Scored(images, rows)

    def speeds(self) -> tuple[WorkerSpeed, ...]:
        """None: this process did it all."""
        return ()

    def open(self, spec: str) -> "tuple[Checkpoint, Pipeline]":
        """A checkpoint's record and policy; the last one stays open, the one before it is let go."""
        if self._opened is None or self._opened[0] != spec:
            self._opened = None
            self._opened = (spec, *open_checkpoint(spec, self.base, offline=self.agenda.config.offline))
        return self._opened[1:]

    def load(self, scorers: Sequence[Scorer]) -> None:
        """Loads scorers that are not loaded yet."""
        self.loaded.load(scorers)

    def generate(self, spec: str, checkpoint: Checkpoint, shard: Shard) -> ImageSet:
        """Makes what is missing of a shard's images."""
        config, prompts = self.agenda.config, self.agenda.prompt_set
        _, policy = self.open(spec)
        ks = tuple(range(config.images_per_prompt))
        content = ImageSet.content_id(checkpoint, prompts, self.sampler, ks)
        tally = Tally(config.out, shard.suffix)
        with self._telling(f"generating {checkpoint.id}") as tell, tally.counting(content, tell) as heard:
            images = generate(
                checkpoint,
                policy,
                prompts,
                self.sampler,
                config.images_per_prompt,
                config.out,
                shard=shard,
                progress=heard,
            )
        if not config.distance:
            return images
        with self._telling(f"distance of {checkpoint.id}") as tell, tally.counting(content, tell) as heard:
            return with_distances(images, policy, self.base, config.out, shard=shard, progress=heard)

    def score(self, images: ImageSet, scorers: Sequence[Scorer]) -> list[ScoreRow]:
        """The rows of a whole set; those that are kept are not computed again."""
        tally = Tally(self.agenda.config.out)
        with (
            self._telling(f"scoring {images.checkpoint.id}") as tell,
            tally.counting(images.id, tell) as heard,
        ):
            return score_all(images, scorers, self.loaded, self.cache, heard)

    def score_part(self, part: ImageSet, scorers: Sequence[Scorer], suffix: str) -> dict[str, list[ScoreRow]]:
        """The rows of some prompts of a set, by scorer; see :func:`benchmark.evaluate.scoring.score_part`.

        Args:
            part: The images of these prompts.
            scorers: By whom.
            suffix: Tells the time it takes from that of other parts.
        """
        self.load(scorers)
        tally = Tally(self.agenda.config.out, suffix)
        with (
            self._telling(f"scoring {part.checkpoint.id}") as tell,
            tally.counting(part.id, tell) as heard,
        ):
            heard(0, len(part))
            return score_part(part, scorers, self.cache.kept, heard)

    def _scored(self, checkpoints: Sequence[Checkpoint], scorer: Scorer) -> bool:
        """Whether a scorer seems to have nothing left, so that a finished evaluation starts quickly."""
        ks = tuple(range(self.agenda.config.images_per_prompt))
        ids = [ImageSet.content_id(c, self.agenda.prompt_set, self.sampler, ks) for c in checkpoints]
        return all(self.cache.has_any(id_, scorer) for id_ in ids)


def distinct(agenda: EvalPlan, checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The checkpoints of an evaluation, each with an id of its own and the reference among them.

    Raises:
        UserError: if two have one id, or the reference is none of them.
    """
    found: dict[str, Checkpoint] = {}
    for spec, checkpoint in zip(agenda.config.checkpoint, checkpoints, strict=True):
        if checkpoint.id in found:
            raise UserError(
                f"checkpoint {spec} has the id {checkpoint.id}, as another one has", do="name it once"
            )
        found[checkpoint.id] = checkpoint
    if agenda.config.reference and agenda.config.reference not in found:
        raise UserError(f"--reference is {agenda.config.reference}", allowed=", ".join(found))
    return list(found.values())


class Clock:
    """Wall time by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Adds the time within to a part."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - start
