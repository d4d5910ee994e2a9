"""The units of an evaluation: what a worker does with each, by the same functions that one process calls.

Every unit leaves files named by content, so that it can be done twice, by whomever, and found by all.
"""

import math
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from benchmark.cluster.actor import Do
from benchmark.cluster.machines import UnlikeMachineError, device_words
from benchmark.core.errors import UserError
from benchmark.core.locks import held
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, Sampler, ScoreRow
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.plan import EvalPlan, plan
from benchmark.evaluate.run import shared_settings
from benchmark.evaluate.work import WorkHere
from benchmark.generate import Progress, Shard
from benchmark.scorers import Scorer

LOCK = ".lock-workers"
"""Held by workers beside the command's own, so that they notice when the folder is removed."""
IMAGES: Final = 32
"""Of a unit: enough that what a unit costs beside its images is little."""
_PATIENCE: Final = 30.0
"""Seconds in which a machine sees the images that another one made; NFS keeps what it knows for a while."""


@dataclass(frozen=True)
class Facts:
    """What all workers must agree on, settled when the base model is loaded.

    Attributes:
        sampler: How images are made.
        device: What the worker computes on, as torch calls it.
        hardware: The same in words.
    """

    sampler: Sampler
    device: str
    hardware: str


class Evaluator:
    """The state of a worker: an evaluation as one process would do it, with models loaded when first needed.

    Args:
        config: The settings.
        versions: Of each scorer, as the command has them.

    Raises:
        UnlikeMachineError: if a scorer is another one here.
    """

    def __init__(self, config: EvalConfig, versions: Mapping[str, str]) -> None:
        self.fresh = 0
        self.work = WorkHere(plan(config), self._counting)
        self.scorers = {scorer.name: scorer for scorer in self.work.agenda.scorers}
        for name, scorer in self.scorers.items():
            if scorer.scorer_version != versions[name]:
                raise UnlikeMachineError(
                    f"machine {platform.node()} has {name} {scorer.scorer_version}, and the command "
                    f"{versions[name]}",
                    do="make the weights the same on all machines",
                )
        self._lock = held(config.out, shared_settings(config), shared=True, name=LOCK)
        self._lock.__enter__()

    def __call__(self, task: "Task") -> object:
        """Does a unit."""
        return task.do(self)

    @property
    def agenda(self) -> EvalPlan:
        """The evaluation."""
        return self.work.agenda

    @cached_property
    def facts(self) -> Facts:
        """See `Facts`."""
        return Facts(self.work.sampler, self.work.device, device_words(self.work.device))

    @contextmanager
    def _counting(self, what: str) -> Iterator[Progress]:  # noqa: ARG002  # nobody reads a worker's log
        """Counts what was not there before, and says nothing.

        An image that is made and whose distance is measured counts once.
        """

        def heard(done: int, total: int) -> None:
            self.fresh = max(self.fresh, total - done)

        yield heard

    def named(self, names: Sequence[str]) -> list[Scorer]:
        """Scorers by name."""
        return [self.scorers[name] for name in names]


@dataclass(frozen=True)
class Preparation:
    """What a worker does once: see `Evaluator`."""

    config: EvalConfig
    threads: int
    versions: Mapping[str, str]

    def __call__(self) -> "Do[Task, object]":
        """Begins an evaluation."""
        import torch

        torch.set_num_threads(self.threads)
        return Evaluator(self.config, self.versions)


class Task(ABC):
    """A unit's task."""

    @abstractmethod
    def do(self, state: Evaluator) -> object:
        """Does it."""


@dataclass(frozen=True)
class Opening(Task):
    """A checkpoint opened, before any image is made."""

    spec: str

    def do(self, state: Evaluator) -> tuple[Checkpoint, Facts]:
        """The checkpoint's record, and what all workers must agree on."""
        return state.work.open(self.spec)[0], state.facts


@dataclass(frozen=True)
class Loading(Task):
    """Scorers loaded, so that one that cannot be is known before any image is made."""

    scorers: tuple[str, ...]

    def do(self, state: Evaluator) -> None:
        """Loads them; they stay loaded."""
        state.work.load(state.named(self.scorers))


@dataclass(frozen=True)
class Making(Task):
    """The images of some prompts of a checkpoint."""

    spec: str
    checkpoint: Checkpoint
    shard: Shard
    sampler: Sampler

    def do(self, state: Evaluator) -> tuple[tuple[ImageRecord, ...], int]:
        """Makes those that are missing; the records of all, and how many were made.

        Raises:
            UserError: if this machine's weights are others, or it would sample otherwise.
        """
        facts = state.facts
        if facts.sampler != self.sampler:
            raise UserError(
                f"{facts.hardware} would make images as {facts.sampler.signature}, and others make them as "
                f"{self.sampler.signature}",
                do="state --precision",
            )
        there, _ = state.work.open(self.spec)
        if there.revision != self.checkpoint.revision:
            raise UserError(
                f"checkpoint {self.spec} or its base model has other weights on one machine than on another",
                do="make them the same on all machines, or name a folder that all share",
            )
        state.fresh = 0
        images = state.work.generate(self.spec, self.checkpoint, self.shard)
        return images.records, state.fresh


@dataclass(frozen=True)
class Scoring(Task):
    """Some prompts' images seen by scorers; those of the whole set compute features.

    Attributes:
        part: The images.
        scorers: Names.
        number: Of the part, from 0.
        suffix: Tells the time it takes from that of other parts.
    """

    part: ImageSet
    scorers: tuple[str, ...]
    number: int
    suffix: str

    def do(self, state: Evaluator) -> dict[str, list[ScoreRow]]:
        """The rows of each scorer of images or prompts."""
        wait_for(self.part)
        return state.work.score_part(self.part, state.named(self.scorers), self.suffix)


@dataclass(frozen=True)
class Summing(Task):
    """A whole set seen by scorers of sets, whose features all parts have left."""

    images: ImageSet
    scorers: tuple[str, ...]

    def do(self, state: Evaluator) -> dict[str, list[ScoreRow]]:
        """The rows of each scorer, which are kept as well."""
        wait_for(self.images)
        state.work.cache.kept.look_again()
        scorers = state.named(self.scorers)
        rows = state.work.score(self.images, scorers)
        return {s.name: [row for row in rows if row.scorer == s.name] for s in scorers}


def wait_for(images: ImageSet) -> None:
    """Waits until this machine sees the images that others made.

    Raises:
        FileNotFoundError: if one does not appear; as rows without an image they would be kept for good.
    """
    end = time.monotonic() + _PATIENCE
    for record in images.ok:
        while not record.path.is_file():
            if time.monotonic() > end:
                raise FileNotFoundError(f"{record.path} was made and is not seen on {platform.node()}")
            # A client of NFS that has looked in vain looks again when the folder is listed.
            list(record.path.parent.glob("*"))
            time.sleep(0.2)


def parts_of(prompts: Sequence[Prompt], images_per_prompt: int, workers: int) -> list[tuple[Prompt, ...]]:
    """Prompts in runs for scoring: some for each worker, yet not so small that reading files is the work.

    Args:
        prompts: Of the set.
        images_per_prompt: K.
        workers: How many there are.
    """
    images = len(prompts) * images_per_prompt
    size = max(1, min(1024, max(128, images // (2 * workers))) // images_per_prompt)
    return [tuple(prompts[i : i + size]) for i in range(0, len(prompts), size)]


def shards_of(prompts: int, images_per_prompt: int, batch: int) -> list[Shard]:
    """Shards of whole prompts and about 32 images, or about a batch where that is more.

    Where it can be, the images fill their batches: one that is not full takes as long as one that is.

    Example:
        >>> [shard.suffix for shard in shards_of(44, 4, 16)][-2:]
        ['-5-of-6', '-6-of-6']
        >>> [[n for n in range(44) if n in shard] for shard in shards_of(44, 4, 16)][-2:]
        [[32, 33, 34, 35, 36, 37, 38, 39], [40, 41, 42, 43]]
    """
    run = -(-max(IMAGES, batch) // images_per_prompt)
    full = batch // math.gcd(batch, images_per_prompt)
    filled = full * -(-run // full)
    if filled <= 2 * run:
        run = filled
    count = max(1, -(-prompts // run))
    return [Shard(i + 1, count, run) for i in range(count)]
