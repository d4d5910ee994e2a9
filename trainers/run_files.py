"""The files of a run by name and hash: noted as they are written, looked at before they are used again.

A checkpoint, or any other file, that is gone was taken away by its owner. One that is there in part, or is
not what was written, is damaged: what belongs to the last step is made again from the state of the run, the
rest is named.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_file
from trainers.pairs import BAD_ROWS_FILE

METRICS: Final = "metrics.jsonl"
_OF_ALL_STEPS: Final = (METRICS, BAD_ROWS_FILE)


def hashes_of(run: Path, place: Path) -> dict[str, str]:
    """The files of a place in a run, by name; none if nothing is there."""
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    return {file.relative_to(run).as_posix(): sha256_file(file) for file in files}


def damaged(run: Path, known: Mapping[str, str]) -> list[str]:
    """The names of files that are not what was written.

    Args:
        run: The run's folder.
        known: Hashes by name.
    """
    return [
        name for name, sha256 in known.items() if (run / _unit(name)).exists() and not _is(run / name, sha256)
    ]


def is_made_again(name: str, step: int) -> bool:
    """Whether a file is written anew from the state of a step."""
    return name in _OF_ALL_STEPS or PurePosixPath(_unit(name)).stem == f"step-{step:06d}"


def refuse_damaged(run: Path, names: Iterable[str], step: int) -> None:
    """Names the first damaged file that is not made again from the state of a step.

    Raises:
        UserError: says how to go on without it.
    """
    for name in names:
        if not is_made_again(name, step):
            raise UserError(
                f"{run / name} is not what was written: damaged, or changed by hand",
                do=f"delete {run / _unit(name)} to do without it, or {run} to train again",
            )


def _unit(name: str) -> str:
    """What is there or not as one thing: a checkpoint's folder, or the file itself."""
    return "/".join(PurePosixPath(name).parts[:2])


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256
