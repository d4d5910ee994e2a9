"""Worker processes of one thread each: on a few cores, two processes beat one of two threads.

A worker imports the libraries once, trains its share of the policies together, so that they share latents,
batches and reference passes, then generates and scores their images. Everything is kept by content, so
workers never meet, and the same work again resumes.
"""

import multiprocessing as mp
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from benchmark.core.errors import FbenchError, UserError
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.result import EvalResult
from trainers.config import TrainConfig

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Job = TypeVar("Job")
Answer = TypeVar("Answer")

WORKERS: Final = 2
_PATIENCE = 30.0
"""Seconds that a worker has to end once all have answered, or after Ctrl-C to save where it is."""


@dataclass(frozen=True)
class Share:
    """What one worker does.

    Attributes:
        runs: Trained together; may be none.
        evaluation: Of the worker's own checkpoints, into the folder that all workers share.
    """

    runs: tuple[TrainConfig, ...]
    evaluation: EvalConfig


def train_and_prepare(share: Share) -> dict[str, float]:
    """Trains a share, then generates and scores; the table is left to a later `evaluate`.

    Returns:
        Wall time by part: ``start`` (imports, loading), ``train``, ``generate``, ``score``.
    """
    begin = time.monotonic()
    import torch

    torch.set_num_threads(1)
    from benchmark.evaluate.run import prepare
    from trainers.train import train_many

    imported = time.monotonic()
    if share.runs:
        train_many(share.runs)
    trained = time.monotonic()
    parts = prepare(share.evaluation)
    return {**parts, "start": imported - begin + parts["start"], "train": trained - imported}


def train_and_evaluate(
    runs: Sequence[TrainConfig],
    checkpoints_of: Callable[[TrainConfig], Sequence[str]],
    evaluation: EvalConfig,
    *,
    workers: int = WORKERS,
) -> EvalResult:
    """Trains policies and evaluates them beside the base model.

    Args:
        runs: The policies; they share base model and data.
        checkpoints_of: Which checkpoints of a finished run are evaluated, as ``--checkpoint`` takes them.
        evaluation: How; its checkpoints are replaced by ``base`` and those of the runs, in their order.
        workers: Processes.

    Raises:
        UserError: what went wrong in a worker, as it would be told here.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    shares = []
    count = max(1, min(workers, len(runs)))
    for i in range(count):
        mine = tuple(runs[i::count])
        specs = [spec for run in mine for spec in checkpoints_of(run)]
        # The last share is the smallest, so it takes the base model too.
        specs = ["base", *specs] if i == count - 1 else specs
        shares.append(Share(mine, evaluation.model_copy(update={"checkpoint": tuple(specs)})))
    seconds = longest(run_workers(train_and_prepare, shares))
    from benchmark.evaluate.run import evaluate

    everyone = ("base", *(spec for run in runs for spec in checkpoints_of(run)))
    result = evaluate(evaluation.model_copy(update={"checkpoint": everyone}))
    print(", ".join(f"{part} {taken:.0f} s" for part, taken in seconds.items()))
    return result


def run_workers(task: Callable[[Job], Answer], jobs: Sequence[Job]) -> list[Answer]:
    """Does each job in a process of its own, all at the same time.

    Args:
        task: A function of a module, so that another process finds it.
        jobs: Whatever can be sent to another process.

    Returns:
        The answers, in the order of the jobs.

    Raises:
        FbenchError: what a worker raised; other errors show as that worker's traceback, and here as a
            `UserError`.
        KeyboardInterrupt: after Ctrl-C, when the workers have saved where they are.
    """
    context = mp.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in jobs]
    workers = [
        context.Process(target=_work, args=(task, job, send), daemon=True)
        for job, (_, send) in zip(jobs, pipes, strict=True)
    ]
    try:
        for worker, (_, send) in zip(workers, pipes, strict=True):
            worker.start()
            # Only the worker may hold this end: then its death is seen at the other one.
            send.close()
        answers = [_answer(receive) for receive, _ in pipes]
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.join(timeout=_PATIENCE)
                worker.kill()
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


def longest(answers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The longest time of each part over the workers."""
    return {part: max(a.get(part, 0.0) for a in answers) for answer in answers for part in answer}


def _work(task: Callable[[Job], Answer], job: Job, send: "Connection") -> None:
    # Before torch is imported, so that every library of this process obeys.
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        send.send(task(job))
    except (FbenchError, KeyboardInterrupt) as error:
        send.send(error)


def _answer(receive: "Connection") -> Any:
    try:
        return receive.recv()
    except EOFError:
        return UserError("a worker process ended early", do="run the same command again; it goes on")
