"""An evaluation on a cluster: ``fbench eval --ray``.

Workers of the main pool open checkpoints, make images and score them. Scorers that ask for other machines
than these, or for packages of their own, come after it, each kind with a pool of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from typing import Any

from benchmark.cluster.connection import connected, gpus_of_workers
from benchmark.cluster.flow import Flow, Ledger
from benchmark.cluster.machines import Standard, compared_machines
from benchmark.cluster.needs import Needs
from benchmark.cluster.pool import Pool, Worker
from benchmark.cluster.queue import Unit
from benchmark.cluster.settings import Cluster
from benchmark.cluster.units import IMAGES, LOCK, Facts, Loading, Opening, Preparation
from benchmark.core.console import doing, workers_speak
from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint, ImageSet, ScoreRow, WorkerSpeed
from benchmark.core.words import number_of
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.plan import EvalPlan
from benchmark.evaluate.run import Workplace
from benchmark.evaluate.scoring import ScoreCache
from benchmark.evaluate.work import Clock, Scored, Work, distinct
from benchmark.generate import console_progress
from benchmark.scorers import Scorer, make_scorers


def on_cluster(cluster: Cluster) -> Workplace:
    """A cluster as the place where an evaluation's work is done."""
    return partial(_workplace, cluster)


def refuse_shard(config: EvalConfig) -> None:
    """Refuses a part of the images that somebody cut by hand.

    Raises:
        UserError: if the settings name one.
    """
    if config.shard:
        raise UserError("--shard and --ray are both given", do="leave one of them out: --ray shares the work")


@contextmanager
def _workplace(cluster: Cluster, agenda: EvalPlan) -> Iterator[Work]:
    refuse_shard(agenda.config)
    with ExitStack() as stack:
        stack.enter_context(connected(cluster))
        # After the workers, which hold it.
        stack.callback((agenda.config.out / LOCK).unlink, missing_ok=True)
        yield ClusterWork(cluster, agenda, stack)


class ClusterWork:
    """The work of an evaluation, done by the workers of a cluster.

    Args:
        cluster: How they are used; the connection to it is open.
        agenda: The checked evaluation.
        stack: Closes the pools at the end.
    """

    def __init__(self, cluster: Cluster, agenda: EvalPlan, stack: ExitStack) -> None:
        self._cluster, self._agenda, self._stack = cluster, agenda, stack
        self._clock = Clock()
        self._cache = ScoreCache(agenda.config.out)
        self._facts: list[Facts] = []
        self._opened: dict[str, Checkpoint] = {}
        self._speeds: dict[str, WorkerSpeed] = {}
        main = Needs(cluster.cpus, gpus_of_workers(cluster))
        self._scorers: dict[Needs, list[Scorer]] = {main: []}
        for scorer in agenda.scorers:
            self._scorers.setdefault(_needs(scorer, main), []).append(scorer)
        self._pools: dict[Needs, Pool] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall time by part."""
        return self._clock.seconds

    @property
    def device(self) -> str:
        """What workers compute on."""
        return ", ".join(dict.fromkeys(facts.device.partition(":")[0] for facts in self._facts))

    def start(self) -> list[Checkpoint]:
        """Compares the machines, opens every checkpoint on one of them, and loads the main pool's scorers."""
        config = self._agenda.config
        with self._clock("start"):
            contents = partial(_versions, config.scorer_texts, config.weights, config.scorer_precision)
            with doing("comparing the machines"):
                standard = self._stack.enter_context(compared_machines(self._cluster, config.out, contents))
            # Whether machines have room for all, and their packages, is known before any image is made.
            self._pools = {needs: self._pool(needs, standard) for needs in self._scorers}
            main = next(iter(self._pools.values()))
            # Workers that will make images load the base model now, those at least that are there in time.
            workers = self._begin(main)
            specs = islice(cycle(config.checkpoint), max(len(config.checkpoint), workers))
            units = [Unit(f"opening {spec}", Opening(spec), spec) for spec in specs]
            with doing(f"opening {number_of(len(config.checkpoint), 'checkpoint')} on workers"):
                main.run(units, self._take_opened, _refuse_lost)
            checkpoints = distinct(self._agenda, [self._opened[spec] for spec in config.checkpoint])
            due = [s.name for s in self._scorers[main.needs] if not self._scored(s, checkpoints)]
            if due:
                what = f"loading {', '.join(due)}"
                loading = [Unit(what, Loading(tuple(due))) for _ in range(max(1, workers))]
                with doing(f"{what} on workers"):
                    main.run(loading, _nothing, _refuse_lost)
        return checkpoints

    def scored(self, checkpoints: Sequence[Checkpoint]) -> Iterator[Scored]:
        """Makes and scores what is missing of all checkpoints together, then gives them in their order."""
        specs = self._agenda.config.checkpoint
        ledgers = [Ledger(spec, one) for spec, one in zip(specs, checkpoints, strict=True)]
        for number, (needs, pool) in enumerate(self._pools.items()):
            with self._clock("score" if number else "generate and score"):
                self._run(pool, self._scorers[needs], ledgers, make=not number)
                pool.close()
        for ledger in ledgers:
            assert ledger.images is not None
            yield Scored(ledger.images, self._rows(ledger, ledger.images))

    def speeds(self) -> tuple[WorkerSpeed, ...]:
        """The part of each worker."""
        return tuple(self._speeds.values())

    def _begin(self, pool: Pool) -> int:
        """Begins the workers that images will need, if some are missing; says how many."""
        there = sum(1 for _ in self._agenda.config.out.glob("images/*/*.png"))
        missing = max(0, self._agenda.n_images - there)
        workers = min(len(pool.workers), -(-missing // IMAGES))
        pool.begin(workers)
        return workers

    def _pool(self, needs: Needs, standard: Standard) -> Pool:
        versions = {scorer.name: scorer.scorer_version for scorer in self._agenda.scorers}
        config, main = self._agenda.config, next(iter(self._scorers))
        if main.gpus and not needs.gpus:
            # These see no GPU, whatever --device says of the others.
            config = config.model_copy(update={"device": "cpu"})
        preparation = Preparation(config, self._cluster.cpus, versions)
        pool = Pool(self._cluster, needs, preparation, standard.hold)
        self._stack.callback(pool.close)
        return pool

    def _run(self, pool: Pool, scorers: Sequence[Scorer], ledgers: Sequence[Ledger], *, make: bool) -> None:
        what = "images and scores" if make else ", ".join(s.name for s in scorers)
        what += f" on {number_of(len(pool.workers), 'worker')}"
        with console_progress(what) as tell, workers_speak():
            flow = Flow(
                self._agenda,
                scorers,
                self._facts[0].sampler,
                ledgers,
                len(pool.workers),
                tell,
                self._speeds,
            )
            units = flow.all_units() if make else flow.units_of_scoring()
            # The cluster works, for images are there: a scorer that ends every worker is itself to blame.
            pool.run(units, flow.answered, flow.lost, proven=not make)

    def _take_opened(self, unit: Unit, answer: tuple[Checkpoint, Facts], _worker: Worker) -> Iterable[Unit]:
        self._opened[unit.task.spec], facts = answer
        self._facts.append(facts)
        return ()

    def _scored(self, scorer: Scorer, checkpoints: Sequence[Checkpoint]) -> bool:
        ks = tuple(range(self._agenda.config.images_per_prompt))
        sampler = self._facts[0].sampler
        ids = [ImageSet.content_id(c, self._agenda.prompt_set, sampler, ks) for c in checkpoints]
        return all(self._cache.has_any(id_, scorer) for id_ in ids)

    def _rows(self, ledger: Ledger, images: ImageSet) -> list[ScoreRow]:
        found = list[ScoreRow]()
        for scorer in self._agenda.scorers:
            rows = ledger.rows.get(scorer.name) or self._cache.read(images, scorer)
            if rows is None:
                raise UserError(
                    f"the scores of {scorer.name} for {images.checkpoint.id} were there and are gone",
                    do="give the command once more",
                )
            found += rows
        return found


def _needs(scorer: Scorer, main: Needs) -> Needs:
    gpus = main.gpus if scorer.gpus is None else scorer.gpus
    packages = tuple(sorted(scorer.packages))
    return replace(main, gpus=gpus, memory=int(scorer.memory_gb * 1e9), packages=packages)


def _versions(texts: tuple[str, ...], weights: str, precision: str) -> dict[str, str]:
    """The version of each scorer, with the hash of its weights and references, on this machine.

    One with packages of its own is compared where these are: by its worker, as it begins.
    """
    made = make_scorers(texts, weights, precision) if texts else []
    return {scorer.name: scorer.scorer_version for scorer in made if not scorer.packages}


def _nothing(*_: Any) -> Iterable[Unit]:
    return ()


def _refuse_lost(unit: Unit, why: str) -> Iterable[Unit]:
    raise UserError(f"{unit.words} was {why}", do="look at the logs of that machine")
