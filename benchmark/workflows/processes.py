"""Worker processes, and what comes back from them; light, because every worker imports this first."""

import multiprocessing as mp
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from benchmark.core.errors import EXIT_TERMINATED, FbenchError, UserError
from benchmark.core.interrupts import terminable
from benchmark.core.system import refusal_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

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
        answers = [_answer(receive) for receive, _ in pipes]
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
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


def _work(task: Callable[[Job], Answer], job: Job, send: "Connection") -> None:
    # Before torch is imported, so that every library of this process obeys.
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with terminable():
            send.send(task(job))
    except (FbenchError, KeyboardInterrupt) as error:
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


def _answer(receive: "Connection") -> Any:
    try:
        return receive.recv()
    except EOFError:
        return UserError("a worker process ended early", do="run the same command again; it goes on")
