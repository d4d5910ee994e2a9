"""The cost of a checkpoint: read from its run's log, and counted while it is evaluated."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import Checkpoint, Cost, ImageSet
from benchmark.core.sealed import read_sealed, sealed_file
from benchmark.generate import Progress

FOLDER = ".seconds"


class Tally:
    """Wall time of making and scoring images, summed over all attempts in an evaluation's folder.

    Images and scores that were found there took their time in the attempt that made them. A number that was
    made for another prompt set, number of images or sampler is not counted again. The files are sealed: where
    one is damaged, the time is not known any more.

    Args:
        out: The evaluation's folder.
        suffix: Tells this process's file from those of other shards.
    """

    def __init__(self, out: Path, suffix: str = "") -> None:
        self._folder, self._suffix = out / FOLDER, suffix

    @contextmanager
    def counting(self, image_set_id: str, tell: Progress) -> Iterator[Progress]:
        """Adds the time within, also when it is cut short, unless there was nothing left to do.

        Args:
            image_set_id: What is made or scored.
            tell: Who else wants to know.

        Yields:
            What the work must tell; its first word says what is left to do.
        """
        left = list[int]()

        def heard(done: int, total: int) -> None:
            left.append(total - done)
            tell(done, total)

        start = time.monotonic()
        try:
            yield heard
        finally:
            if left and left[0]:
                path = self._folder / f"{image_set_id}{self._suffix}.json"
                before = _seconds(path) if path.exists() else 0.0
                if before is not None:
                    with sealed_file(path) as temporary:
                        temporary.write_text(repr(before + time.monotonic() - start), encoding="utf-8")

    def seconds(self, image_set_id: str) -> float | None:
        """The sum over all processes; None where nobody counted, or where it is not known."""
        found = [_seconds(path) for path in sorted(self._folder.glob(f"{image_set_id}*.json"))]
        known = [seconds for seconds in found if seconds is not None]
        return sum(known) if found and len(known) == len(found) else None


def costs_of(image_sets: Sequence[ImageSet], out: Path) -> dict[str, Cost]:
    """The cost of each checkpoint, to train and to evaluate, by id.

    Args:
        image_sets: What was scored.
        out: The evaluation's folder.
    """
    tally = Tally(out)
    found = {}
    for images in image_sets:
        train_seconds, memory = _training(images.checkpoint)
        found[images.checkpoint.id] = Cost(train_seconds, tally.seconds(images.id), memory)
    return found


def _training(checkpoint: Checkpoint) -> tuple[float | None, float | None]:
    """Seconds of the steps up to this checkpoint, and peak memory, from the `metrics.jsonl` of its run."""
    if checkpoint.path is None or checkpoint.path.parent.name != "checkpoints":
        return None, None
    steps = dict[int, float]()
    memory = list[float]()
    # A log that is gone, or that somebody changed, costs a number in a column and no more.
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        for line in (checkpoint.path.parent.parent / "metrics.jsonl").read_text("utf-8").splitlines():
            metrics = json.loads(line)
            if 0 < metrics["step"] <= checkpoint.step:
                steps[metrics["step"]] = float(metrics["seconds"]) + float(metrics["shared_seconds"])
                memory += [float(metrics["memory_gb"])] if metrics.get("memory_gb") is not None else []
    whole = len(steps) == checkpoint.step > 0
    return sum(steps.values()) if whole else None, max(memory) if whole and memory else None


def _seconds(path: Path) -> float | None:
    with suppress(UnreadableFileError, ValueError):
        return float(read_sealed(path, "kept seconds"))
    return None
