"""The flow of an evaluation: which units follow from which, and what takes the place of lost ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.cluster.pool import Worker
from benchmark.cluster.queue import Unit
from benchmark.cluster.units import Making, Scoring, Summing, parts_of, shards_of
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Sampler, ScoreRow, WorkerSpeed
from benchmark.evaluate.finished import found_images
from benchmark.evaluate.plan import EvalPlan
from benchmark.evaluate.scoring import ScoreCache, owed_rows
from benchmark.generate import Progress
from benchmark.scorers import Scorer
from benchmark.scorers.base import SetScorer


@dataclass
class Ledger:
    """What is known of one checkpoint so far.

    Attributes:
        spec: As it was named.
        checkpoint: Its record.
        left: Units that have not ended.
        records: Of images, by prompt and k.
        images: The whole set, once all records are there.
        parts: Rows by scorer and number of the part.
        rows: By scorer, of those that are not kept in a file: they failed in part, or are few.
    """

    spec: str
    checkpoint: Checkpoint
    left: int = 0
    records: dict[tuple[str, int], ImageRecord] = field(default_factory=dict)
    images: ImageSet | None = None
    parts: dict[str, dict[int, list[ScoreRow]]] = field(default_factory=dict)
    rows: dict[str, list[ScoreRow]] = field(default_factory=dict)


class Flow:
    """Gives a pool its units and takes what comes of them.

    Args:
        agenda: The evaluation.
        scorers: Those of this pool.
        sampler: How images are made.
        ledgers: One a checkpoint; filled here.
        workers: How many the pool has.
        tell: Told of images made and scored.
        speeds: Each worker's part by its name; filled here.
    """

    def __init__(
        self,
        agenda: EvalPlan,
        scorers: Sequence[Scorer],
        sampler: Sampler,
        ledgers: Sequence[Ledger],
        workers: int,
        tell: Progress,
        speeds: dict[str, WorkerSpeed],
    ) -> None:
        self._agenda, self._sampler, self._workers = agenda, sampler, workers
        self._scorers = {scorer.name: scorer for scorer in scorers}
        self._ledgers = {ledger.checkpoint.id: ledger for ledger in ledgers}
        self._cache = ScoreCache(agenda.config.out)
        self._tell, self._done, self._total = tell, 0.0, 0
        self._speeds, self._of = speeds, ""

    # --- units ------------------------------------------------------------------------------------

    def all_units(self) -> list[Unit]:
        """The units of all images; those of scoring follow from them."""
        config, prompts = self._agenda.config, self._agenda.prompt_set
        shards = shards_of(len(prompts), config.images_per_prompt, self._sampler.batch_size)
        self._total = self._agenda.n_images * (2 if self._scorers else 1)
        units = []
        for name, ledger in self._ledgers.items():
            ledger.left = len(shards)
            units += [
                Unit(
                    f"images of {name}, part {shard.index} of {shard.count}",
                    Making(ledger.spec, ledger.checkpoint, shard, self._sampler),
                    group=name,
                )
                for shard in shards
            ]
        self._tell(0, self._total)
        return units

    def units_of_scoring(self) -> list[Unit]:
        """The units of scoring images that are all there, by a pool of these scorers alone."""
        self._of = f" of {', '.join(self._scorers)}"
        self._total = self._agenda.n_images
        units = [unit for ledger in self._ledgers.values() for unit in self._scoring(ledger)]
        self._tell(int(self._done), self._total)
        return units

    def _scoring(self, ledger: Ledger) -> list[Unit]:
        images = ledger.images
        assert images is not None
        due = tuple(n for n, s in self._scorers.items() if self._cache.read(images, s) is None)
        parts = parts_of(tuple(images.prompt_set), len(images.seeds), self._workers) if due else []
        if not parts:
            self._count(len(images))
        ledger.left = len(parts)
        ledger.parts = {name: {} for name in due}
        name = ledger.checkpoint.id
        return [
            Unit(
                f"scores of {name}, part {i + 1} of {len(parts)}",
                Scoring(images.of(prompts), due, i, f"-scores-{i + 1}-of-{len(parts)}"),
                group=name,
            )
            for i, prompts in enumerate(parts)
        ]

    # --- answers ----------------------------------------------------------------------------------

    def answered(self, unit: Unit, answer: Any, worker: Worker) -> Iterable[Unit]:
        """Takes an answer; gives what can be done now."""
        task, name = unit.task, f"worker {worker.number}{self._of}"
        before = self._speeds.get(name, WorkerSpeed(name, worker.node))
        now = replace(before, units=before.units + 1, restarts=worker.restarts, node=worker.node)
        if isinstance(task, Making):
            records, fresh = answer
            if fresh:
                seconds = before.image_seconds + worker.seconds
                now = replace(now, images=before.images + fresh, image_seconds=seconds)
            self._speeds[name] = now
            return self._made(unit, records)
        if isinstance(task, Scoring):
            seconds = before.score_seconds + worker.seconds
            now = replace(now, scored=before.scored + len(task.part), score_seconds=seconds)
        self._speeds[name] = now
        return self._scored(unit, answer)

    def lost(self, unit: Unit, why: str) -> Iterable[Unit]:
        """Takes a unit that was given up: first each scorer alone, then rows that say why.

        Images that were made before their worker died are there all the same.
        """
        task, ledger = unit.task, self._ledgers[unit.group]
        if isinstance(task, Making):
            mine = [p for number, p in enumerate(self._agenda.prompt_set) if number in task.shard]
            ks = tuple(range(self._agenda.config.images_per_prompt))
            there = found_images(self._agenda.config.out, ledger.checkpoint, mine, self._sampler, ks)
            records = [r if r.status == "ok" else replace(r, status="error", note=why) for r in there]
            return self._made(unit, records)
        assert isinstance(task, Scoring | Summing)
        if len(task.scorers) > 1:
            ledger.left += len(task.scorers) - 1
            return [
                Unit(f"{unit.words}, {name} alone", replace(task, scorers=(name,)), unit.group)
                for name in task.scorers
            ]
        (scorer,) = (self._scorers[name] for name in task.scorers)
        of_set = isinstance(scorer, SetScorer)
        if isinstance(task, Scoring):
            return self._scored(unit, {scorer.name: [] if of_set else owed_rows(scorer, task.part, why)})
        return self._scored(unit, {scorer.name: owed_rows(scorer, task.images, why)})

    def _made(self, unit: Unit, records: Sequence[ImageRecord]) -> Iterable[Unit]:
        ledger = self._ledgers[unit.group]
        ledger.records |= {(record.prompt_id, record.seed): record for record in records}
        self._count(len(records))
        ledger.left -= 1
        if ledger.left:
            return ()
        prompts, ks = self._agenda.prompt_set, tuple(range(self._agenda.config.images_per_prompt))
        id_ = ImageSet.content_id(ledger.checkpoint, prompts, self._sampler, ks)
        ordered = tuple(ledger.records[prompt.id, k] for prompt in prompts for k in ks)
        ledger.images = ImageSet(id_, ledger.checkpoint, prompts, self._sampler, ks, ordered)
        ledger.records = {}
        return self._scoring(ledger) if self._scorers else ()

    def _scored(self, unit: Unit, rows: Mapping[str, list[ScoreRow]]) -> Iterable[Unit]:
        task, ledger = unit.task, self._ledgers[unit.group]
        images = ledger.images
        assert images is not None
        ledger.left -= 1
        if isinstance(task, Summing):
            ledger.rows |= rows
            return ()
        for name, found in rows.items():
            ledger.parts[name][task.number] = found
        self._count(len(task.part) * len(task.scorers) / len(ledger.parts))
        if ledger.left:
            return ()
        of_sets = tuple(name for name in ledger.parts if isinstance(self._scorers[name], SetScorer))
        for name in ledger.parts.keys() - set(of_sets):
            self._keep(ledger, images, self._scorers[name])
        ledger.parts = {}
        if not of_sets:
            return ()
        ledger.left = 1
        return [Unit(f"scores of all of {ledger.checkpoint.id}", Summing(images, of_sets), unit.group)]

    def _keep(self, ledger: Ledger, images: ImageSet, scorer: Scorer) -> None:
        """Joins the rows of all parts; in a file, as one process keeps them, unless some failed."""
        parts = ledger.parts[scorer.name]
        rows = [row for number in sorted(parts) for row in parts[number]]
        self._cache.write(images, scorer, rows)
        if any(row.status == "error" for row in rows):
            ledger.rows[scorer.name] = rows

    def _count(self, images: float) -> None:
        self._done += images
        self._tell(min(round(self._done), self._total), self._total)
