"""Checkpoints in the layouts that plain diffusers and PEFT open, and the state a run resumes from.

RUN/checkpoints/step-000200/   the policy in a public layout of its family, and checkpoint.json
RUN/resume.pt                  weights, optimiser and counters of the last step saved

A checkpoint, or any other file, that is gone was taken away by its owner. One that is there in part, or is
not what was written, is damaged: what belongs to the last step is made again from the state of the run, the
rest is named.
"""

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from benchmark.core import store
from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.hashing import plain, sha256_file, sha256_json, sha256_path
from benchmark.core.records import Checkpoint, Hyperparameter
from benchmark.core.sealed import is_whole, sealed_file
from trainers.pairs import BAD_ROWS_FILE

if TYPE_CHECKING:
    from trainers.networks import Policy

RECORD = "checkpoint.json"
RESUME = "resume.pt"
METRICS = "metrics.jsonl"
_OF_ALL_STEPS = (METRICS, BAD_ROWS_FILE)
_LONGEST = 60


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        folder: The run's.
        checkpoint: The last one.
        checkpoints: All, in the order of their steps.
        diverged: Whether it is marked: too many samples beyond the knee, or a held-out loss that
            ends above its value at the reference.
        held_out_loss: The last one; None without held-out pairs.
        held_out_loss_at_reference: Where it started.
        reused: Whether it was finished before and nothing was done.
    """

    folder: Path
    checkpoint: Checkpoint
    checkpoints: tuple[Checkpoint, ...]
    diverged: bool = False
    held_out_loss: float | None = None
    held_out_loss_at_reference: float | None = None
    reused: bool = False


@dataclass(frozen=True)
class RunFailure:
    """A run that could not go on; its last checkpoint is still there.

    Attributes:
        folder: The run's.
        error: What a user can put right.
    """

    folder: Path
    error: str


def step_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return run / "checkpoints" / f"step-{step:06d}"


def save_checkpoint(
    run: Path, policy: "Policy", draft: Checkpoint, base_revision: str, base_sha256: str
) -> Checkpoint:
    """Writes a policy's weights and its record, whole or not at all.

    Args:
        run: The run's folder.
        policy: Its weights.
        draft: The record; `id` is a label, to which a hash of the weights is added.
        base_revision: Of the base model: an adapter is only half of what decides the pixels.
        base_sha256: The hash of its content, by which the checkpoint finds its base again.

    Returns:
        The record with id, revision and path.
    """
    place = step_folder(run, draft.step)
    with store.atomic_folder(place) as folder:
        layout = policy.save(folder)
        revision = sha256_json([sha256_path(folder), base_revision])[:16]
        found = replace(draft, id=f"{draft.id}-{revision[:8]}", revision=revision, path=place)
        store.write_json(folder / RECORD, {**_record(found), "base_sha256": base_sha256, "format": layout})
    return found


def read_checkpoint(folder: Path) -> Checkpoint:
    """The record of a checkpoint's folder.

    Raises:
        MissingFileError: if there is none.
        UnreadableFileError: if it is not a checkpoint's record.
    """
    content = store.read_json(folder / RECORD, "a checkpoint's record")
    try:
        known = {k: v for k, v in content.items() if k not in ("format", "base_sha256")}
        return Checkpoint(**{**known, "path": folder})
    except (AttributeError, TypeError, ValueError) as error:
        raise UnreadableFileError(folder / RECORD, "a checkpoint's record", error) from error


def read_checkpoints(run: Path) -> tuple[Checkpoint, ...]:
    """All checkpoints of a run, in the order of their steps."""
    return tuple(
        read_checkpoint(record.parent) for record in sorted(run.glob(f"checkpoints/step-*/{RECORD}"))
    )


def label(objective: str, divergence: str | None, numbers: Mapping[str, Hyperparameter], step: int) -> str:
    """The readable part of a checkpoint's id.

    Example:
        >>> label("f_dpo", "alpha(a=0.5, knee=10.0)", {"beta": 1.0, "seed": 3}, 200)
        'f_dpo-alpha_a0.5_knee10.0-beta1-seed3-step200'
    """
    # A formula may be long, and the label becomes the name of a folder.
    words = [_words(objective)[:_LONGEST], _words(divergence or "")[:_LONGEST]]
    words += [f"{k}{numbers[k]:g}" for k in ("beta", "seed") if isinstance(numbers.get(k), int | float)]
    return "-".join(word for word in [*words, f"step{step}"] if word)


def _words(text: str) -> str:
    text = text.replace(", ", "_").replace("(", "_").replace(": ", "_")
    return "".join(c for c in text if c.isalnum() or c in "._-")


def save_resume(run: Path, state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Writes what the same command goes on from, with a checksum."""
    import torch

    with sealed_file(run / RESUME) as temporary:
        torch.save({**state, "identity": sha256_json(identity)}, temporary)


def load_resume(
    run: Path, identity: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """What an earlier attempt left; None if it left nothing.

    Args:
        run: The run's folder.
        identity: What it must be the state of.
        before: The same as a state says it that was written before states had checksums.

    Raises:
        UnreadableFileError: if it is not what was written, or of other settings or inputs.
    """
    import torch

    path = run / RESUME
    if not path.is_file():
        return None
    sealed = is_whole(path)
    if not (sealed or _is_whole_archive(path)):
        raise _damaged_state(path, "it is damaged or not complete")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        own = state.pop("identity")
    # torch raises errors of pickle, zip files and its own for damaged files.
    except Exception as error:
        raise _damaged_state(path, error) from error
    if sealed and own != sha256_json(identity):
        why = "it has other settings or inputs"
        raise UnreadableFileError(path, "the state of this run", why, do="choose another --out")
    if not sealed and own != sha256_json(before):
        raise _damaged_state(
            path, "it has no checksum, and is not of this run as it was before there were any"
        )
    return state


def _is_whole_archive(path: Path) -> bool:
    """Whether a state without a checksum is at least a zip archive whose parts have theirs."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error):
        return False


def _damaged_state(path: Path, why: object) -> UnreadableFileError:
    return UnreadableFileError(path, "the state of a run", why, do="delete it to start again")


def _record(checkpoint: Checkpoint) -> dict[str, Any]:
    record: dict[str, Any] = plain(checkpoint)
    del record["path"]  # the folder may be moved
    return record


# --- the files of a run, by name and hash -------------------------------------------------------


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
