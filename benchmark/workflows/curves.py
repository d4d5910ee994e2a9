"""Reads the metrics of runs for their curves."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.core.errors import MissingFileError, UserError
from benchmark.report.figures.curve_panels import RunCurves
from trainers.logs import read_metrics


def read_curves(folders: Sequence[Path]) -> list[RunCurves]:
    """The curves of runs, under the shortest names that tell them apart.

    Raises:
        MissingFileError: if a folder has no metrics.
        UnreadableFileError: if they are not a line of numbers a step.
        UserError: if a folder is named twice, or a run has logged nothing yet.
    """
    names = _names([folder.resolve() for folder in folders])
    return [RunCurves(name, _read(folder)) for name, folder in zip(names, folders, strict=True)]


def _read(folder: Path) -> list[dict[str, float | int | bool | None]]:
    path = folder / "metrics.jsonl"
    if not path.is_file():
        raise MissingFileError(path, "metrics of a run", do="name the folder that `fbench train` wrote")
    lines = read_metrics(folder)
    if not lines:
        raise UserError(f"{path} is empty", do="wait for the run's first step")
    return lines


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, with as many before it as it takes.

    Example:
        >>> _names([Path("/a/js/run"), Path("/a/kl/run"), Path("/a/other")])
        ['js/run', 'kl/run', 'other']
    """
    if len(set(folders)) < len(folders):
        twice = next(folder for folder in folders if folders.count(folder) > 1)
        raise UserError(f"{twice} is named twice")
    found = []
    for folder in folders:
        n = 1
        while sum(other.parts[-n:] == folder.parts[-n:] for other in folders) > 1:
            n += 1
        found.append("/".join(folder.parts[-n:]))
    return found
