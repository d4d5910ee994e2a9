"""Worker processes of one thread each: on a few cores, two processes beat one of two threads.

A worker imports the libraries once, trains its share of the policies together, so that they share latents,
batches and reference passes, then generates and scores their images. Everything is kept by content, so
workers never meet, and the same work again resumes.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.results import EvalResult
from benchmark.workflows.processes import run_workers
from trainers.config import TrainConfig

WORKERS: Final = 2


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
    base: bool = True,
    workers: int = WORKERS,
) -> EvalResult:
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
