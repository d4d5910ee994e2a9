"""Worker processes of one thread each: on a few cores, two processes beat one of two threads.

A worker imports the libraries once, trains its share of the policies together, so that they share latents,
batches and reference passes, then generates and scores their images. Everything is kept by content, so
workers never meet, and the same work again resumes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.result import EvalResult
from benchmark.studies.processes import run_workers
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


def longest(answers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The longest time of each part over the workers."""
    return {part: max(a.get(part, 0.0) for a in answers) for answer in answers for part in answer}
