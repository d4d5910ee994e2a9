"""Worker processes of one thread each: on a few cores, two processes beat one of two threads.

Light, because every worker imports this first. One that trains does so for its share of the policies
together, so that they share latents, batches and reference passes, then generates and scores their images.
Everything is kept by content, so workers never meet, and the same work again resumes.
"""

import multiprocessing as mp
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final, TypeVar

from benchmark.core.console import workers_speak
from benchmark.core.errors import EXIT_TERMINATED, FbenchError, UserError
from benchmark.core.interrupts import terminable
from benchmark.core.system import refusal_of

if TYPE_CHECKING:
    from benchmark.evaluate.config import EvalConfig
    from benchmark.evaluate.results import EvalResult
    from trainers.config import TrainConfig

Job = TypeVar("Job")
Answer = TypeVar("Answer")

_PATIENCE: Final = 30.0
"""Seconds that a worker has to end once all have answered, or after Ctrl-C or SIGTERM to save where it is."""


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
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the workers have saved where they are.
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
        with workers_speak():
            answers = _answers([receive for receive, _ in pipes])
    except BaseException:
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()
        raise
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.join(timeout=_PATIENCE)
                worker.kill()
    return answers


def _work(task: Callable[[Job], Answer], job: Job, send: Connection) -> None:
    # Before torch is imported, so that every library of this process obeys.
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with terminable():
            send.send(task(job))
    except (FbenchError, KeyboardInterrupt) as error:
        with suppress(BrokenPipeError):  # after a second Ctrl-C nobody waits for the answer
            send.send(error)
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        send.send(refusal)


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, however that ended: nobody waits for the answer."""
    parent = mp.parent_process()
    if parent is not None:
        parent.join()
        os._exit(EXIT_TERMINATED)


def _answers(pipes: Sequence[Connection]) -> list[Any]:
    """What each worker sends; an error ends all work at once, an interrupt the others have had as well."""
    found: dict[Connection, Any] = {}
    while len(found) < len(pipes):
        for receive in wait([one for one in pipes if one not in found]):
            assert isinstance(receive, Connection)
            found[receive] = _answer(receive)
            if isinstance(found[receive], Exception):
                raise found[receive]
    for answer in found.values():
        if isinstance(answer, BaseException):
            raise answer
    return [found[receive] for receive in pipes]


def _answer(receive: Connection) -> Any:
    try:
        return receive.recv()
    except EOFError:
        return UserError("a worker process ended early", do="run the same command again; it goes on")


WORKERS: Final = 2


@dataclass(frozen=True)
class Share:
    """What one worker does.

    Attributes:
        runs: Trained together; may be none.
        evaluation: Of the worker's own checkpoints, into the folder that all workers share.
        first: What is evaluated before the training, into the same folder; None for nothing. One worker
            encodes what all train on, so another had better begin with something else than waiting for it.
    """

    runs: "tuple[TrainConfig, ...]"
    evaluation: "EvalConfig"
    first: "EvalConfig | None" = None


def train_and_prepare(share: Share) -> dict[str, float]:
    """Trains a share, generates and scores; the table is left to a later `evaluate`.

    Returns:
        Wall time by part: ``start`` (imports, loading), ``train``, ``generate``, ``score``.
    """
    begin = time.monotonic()
    import torch

    torch.set_num_threads(1)
    from benchmark.evaluate.run import prepare
    from trainers.train import train_many

    spent: list[Mapping[str, float]] = [{"start": time.monotonic() - begin}]
    if share.first:
        spent.append(prepare(share.first))
    if share.runs:
        begin = time.monotonic()
        train_many(share.runs)
        spent.append({"train": time.monotonic() - begin})
    spent.append(prepare(share.evaluation))
    return {part: sum(one.get(part, 0.0) for one in spent) for parts in spent for part in parts}


def train_and_evaluate(
    runs: "Sequence[TrainConfig]",
    checkpoints_of: "Callable[[TrainConfig], Sequence[str]]",
    evaluation: "EvalConfig",
    *,
    base: bool = True,
    workers: int = WORKERS,
) -> "EvalResult":
    """Trains policies and evaluates them, beside the base model or alone.

    Args:
        runs: The policies; they share base model and data.
        checkpoints_of: Which checkpoints of a finished run are evaluated, as ``--checkpoint`` takes them.
        evaluation: How; its checkpoints are replaced by ``base`` and those of the runs, in their order.
        base: Whether the base model is evaluated.
        workers: Processes.

    Raises:
        UserError: what went wrong in a worker, as it would be told here.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    count = max(1, min(workers, len(runs)))
    first = ("base",) if base else ()
    # Neighbours stay together: runs of one seed share their batches.
    size, more = divmod(len(runs), count)
    ends = [size * i + min(i, more) for i in range(count + 1)]
    shares = []
    for i in range(count):
        mine = tuple(runs[ends[i] : ends[i + 1]])
        specs = tuple(spec for run in mine for spec in checkpoints_of(run))
        # The last share is the smallest, so it takes the base model too.
        specs = (*first, *specs) if i == count - 1 else specs
        shares.append(Share(mine, evaluation.model_copy(update={"checkpoint": specs})))
    seconds = longest(run_workers(train_and_prepare, shares))
    from benchmark.evaluate.run import evaluate

    everyone = (*first, *(spec for run in runs for spec in checkpoints_of(run)))
    result = evaluate(evaluation.model_copy(update={"checkpoint": everyone}))
    # Not on stdout, which may be for a program.
    sys.stderr.write(", ".join(f"{part} {taken:.0f} s" for part, taken in seconds.items()) + "\n")
    return result


def longest(answers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The longest time of each part over the workers."""
    return {part: max(a.get(part, 0.0) for a in answers) for answer in answers for part in answer}
