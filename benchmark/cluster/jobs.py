"""Jobs that know nothing of each other, done by the workers of a cluster: ``fbench sweep --ray``."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmark.cluster.connection import connected, gpus_of_workers
from benchmark.cluster.machines import compare_machines
from benchmark.cluster.needs import Needs
from benchmark.cluster.pool import Pool, Unit, Worker
from benchmark.cluster.settings import Cluster
from benchmark.generate import console_progress

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Preparation(Generic[Job, Answer]):
    """What a worker does once before jobs: it sets its threads."""

    task: Callable[[Job], Answer]
    threads: int

    def __call__(self) -> Callable[[Job], Answer]:
        import torch

        torch.set_num_threads(self.threads)
        return self.task


def run_jobs(
    cluster: Cluster,
    task: Callable[[Job], Answer],
    jobs: Sequence[Job],
    lost: Callable[[Job, str], Answer],
    *,
    out: Path,
    words: Callable[[Job], str],
) -> list[Answer]:
    """Does each job on some worker; one whose worker dies is done again.

    Args:
        cluster: Which, and how its workers are used.
        task: A function of a module; must go on where an earlier try was broken off.
        jobs: Whatever can be sent to another process.
        lost: Gives the answer for a job that was given up, and why it was.
        out: The folder that all machines must share.
        words: What a job is called.

    Returns:
        The answers, in the order of the jobs.

    Raises:
        UserError: what a user can put right, from whichever worker.
    """
    found: dict[int, Answer] = {}

    def take(unit: Unit, answer: Any) -> Iterable[Unit]:
        found[positions[unit]] = answer
        tell(len(found), len(jobs))
        return ()

    def answered(unit: Unit, answer: Any, worker: Worker) -> Iterable[Unit]:  # noqa: ARG001
        return take(unit, answer)

    units = [Unit(words(job), job) for job in jobs]
    positions = {unit: i for i, unit in enumerate(units)}
    with connected(cluster):
        compare_machines(cluster, out)
        needs = Needs(cluster.cpus, gpus_of_workers(cluster))
        pool = Pool(cluster, needs, _Preparation(task, cluster.cpus))
        try:
            with console_progress(f"runs on {len(pool.workers)} workers") as tell:
                tell(0, len(jobs))
                pool.run(units, answered, lambda unit, why: take(unit, lost(unit.task, why)))
        finally:
            pool.close()
    return [found[i] for i in range(len(jobs))]
