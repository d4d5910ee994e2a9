"""Jobs that know nothing of each other, done by the workers of a cluster: ``fbench sweep --ray``."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from benchmark.cluster.connection import connected, gpus_of_workers
from benchmark.cluster.machines import Contents, compared_machines
from benchmark.cluster.needs import Needs
from benchmark.cluster.pool import Pool, Worker
from benchmark.cluster.queue import Unit
from benchmark.cluster.settings import Cluster
from benchmark.core.console import doing, workers_speak
from benchmark.core.words import number_of
from benchmark.generate import console_progress

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Preparation(Generic[Job, Answer]):
    """What a worker does once before jobs: it sets its threads."""

    task: Callable[[Job], list[Answer]]
    threads: int

    def __call__(self) -> Callable[[Job], list[Answer]]:
        import torch

        torch.set_num_threads(self.threads)
        return self.task


def run_jobs(
    cluster: Cluster,
    task: Callable[[Job], list[Answer]],
    jobs: Sequence[Job],
    lost: Callable[[Job, str], list[Answer]],
    *,
    parts: Callable[[Job], Sequence[Job]],
    out: Path,
    words: Callable[[Job], str],
    contents: Contents = dict,
) -> list[Answer]:
    """Does each job on some worker; one whose worker dies is done again, at last in parts.

    Args:
        cluster: Which, and how its workers are used.
        task: A function of a module; must go on where an earlier try was broken off.
        jobs: Whatever can be sent to another process.
        lost: Gives the answers for a job that was given up, and why it was.
        parts: Gives the parts of a job that can be done alone; the job itself where it has none.
        out: The folder that all machines must share.
        words: What a job is called.
        contents: What jobs read, which must be the same on all machines.

    Returns:
        The answers of all jobs, in their order.

    Raises:
        UserError: what a user can put right, from whichever worker.
    """
    found: dict[tuple[int, ...], list[Answer]] = {}
    positions: dict[Unit, tuple[int, ...]] = {Unit(words(job), job): (i,) for i, job in enumerate(jobs)}
    units = list(positions)

    def answered(unit: Unit, answer: list[Answer], _worker: Worker | None = None) -> Iterable[Unit]:
        found[positions[unit]] = answer
        tell(len(found), len(positions))
        return ()

    def given_up(unit: Unit, why: str) -> Iterable[Unit]:
        alone = parts(unit.task)
        if len(alone) < 2:
            return answered(unit, lost(unit.task, why))
        place = positions.pop(unit)
        new = {Unit(words(job), job): (*place, i) for i, job in enumerate(alone)}
        positions.update(new)
        return list(new)

    with connected(cluster), ExitStack() as stack:
        with doing("comparing the machines"):
            standard = stack.enter_context(compared_machines(cluster, out, contents))
        needs = Needs(cluster.cpus, gpus_of_workers(cluster))
        pool = Pool(cluster, needs, _Preparation(task, cluster.cpus), standard.hold)
        stack.callback(pool.close)
        what = f"runs on {number_of(len(pool.workers), 'worker')}"
        with console_progress(what) as tell, workers_speak():
            tell(0, len(jobs))
            pool.run(units, answered, given_up)
    return [answer for place in sorted(found) for answer in found[place]]
