"""Finds what was trained, and says who made it; its family opens it."""

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from benchmark.core import hashing
from benchmark.core.errors import (
    MissingFileError,
    NotComparableError,
    UnreadableFileError,
    UserError,
    close_matches,
    pasted,
)
from benchmark.core.known_hashes import known_sha256
from benchmark.core.records import EXTERNAL, Checkpoint
from benchmark.core.store import read_json
from benchmark.models.adapters import adapter_files, adapter_place, is_adapter
from benchmark.models.facts import Family, checkpoint_forms, looks_like_hub_id
from benchmark.models.families.base import P, Pipeline
from benchmark.models.files import LORA_FILE, content_hash, hash_with_unread_files, own_name
from benchmark.models.hub import download

RECORD = "checkpoint.json"

_STEP = re.compile(r"^step-(\d+)$")


def open_checkpoint(spec: str, base: P, *, offline: bool = False) -> tuple[Checkpoint, P]:
    """See :func:`benchmark.models.open_checkpoint`."""
    if spec == "base":
        return Checkpoint(id="base", base_model=base.name, revision=base.revision), base
    place = find_checkpoint(spec, offline=offline)
    checkpoint = _read_record(place, base)
    return checkpoint, base.open_policy(place)


def find_checkpoint(spec: str, *, offline: bool = False) -> Path:
    """The folder or file that `--checkpoint` means; of a run, the step asked for or the newest.

    Args:
        spec: As typed, but not `base`.
        offline: Forbid every network access.

    Raises:
        UserError: if there is nothing of the kind.
    """
    text, _, step = spec.rpartition("@")
    run = Path(text).expanduser()
    if text and step.removeprefix("step-").isdecimal() and run.is_dir():
        return _step_folder(run, int(step.removeprefix("step-")))
    path = Path(spec).expanduser()
    if (path / "checkpoints").is_dir():
        return _step_folder(path, None)
    if path.is_file() and path.name == LORA_FILE and (path.parent / RECORD).is_file():
        return path.parent
    if path.exists():
        return adapter_place(path)
    if looks_like_hub_id(spec) and not path.parent.exists():
        return download(spec, offline=offline)[0]
    do = "name one that is there"
    if close_matches(spec, ["base"]):
        do = "did you mean base?"
    elif not path.suffix:
        do += f", or train one: {pasted('fbench', 'train', '--preset', 'shapes-rpo', '--out', path)}"
    raise MissingFileError(path, "checkpoint", allowed=checkpoint_forms(), do=do)


def _step_folder(run: Path, step: int | None) -> Path:
    """One step of a run; its folder appears whole or not at all, so its record says it is there."""
    folders = (run / "checkpoints").glob(f"step-*/{RECORD}")
    found = {int(match[1]): f.parent for f in folders if (match := _STEP.match(f.parent.name))}
    if not found:
        raise MissingFileError(run / "checkpoints", "saved step", do="the run has not saved one yet")
    if step is None:
        return found[max(found)]
    if step not in found:
        raise UserError(f"{run} has no step {step}", allowed=", ".join(map(str, sorted(found))))
    return found[step]


def _read_record(place: Path, base: Pipeline) -> Checkpoint:
    """Who made it; a checkpoint without a record is named after its file and its weights.

    The revision also holds the base's: a LoRA is only half of what decides the pixels. It is computed as
    the trainer computes it and not read, so that weights changed by hand never pass for the old ones.
    """
    digest = weights_digest(place, base.family)
    revision = hashing.sha256_json([digest, base.revision])[:16]
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", own_name(place)).lstrip(".") or "checkpoint"
    if not (place / RECORD).is_file():
        return Checkpoint(f"{stem}-{digest[:8]}", base.name, EXTERNAL, revision=revision, path=place)
    content = read_json(place / RECORD, "a checkpoint's record")
    try:
        known = {f.name for f in fields(Checkpoint)}
        record = {key: value for key, value in content.items() if key in known}
        record |= {"path": place, "revision": revision}
        checkpoint = Checkpoint(**({"id": f"{stem}-{digest[:8]}"} | record))
    except (AttributeError, TypeError, ValueError) as error:
        raise UnreadableFileError(place / RECORD, "a checkpoint's record", error) from error
    _check_base(checkpoint.base_model, content.get("base_sha256"), base, place)
    return checkpoint


def _check_base(name: str, sha256: object, base: Pipeline, place: Path) -> None:
    """Refuses a checkpoint of another base model, by content: a name is for people.

    A record without the base's hash is an older one. Its name ends with the start of one where the base was a
    folder (then over all files, read or not), and is all there is to go by where it was a published model.
    """
    _, _, start = name.rpartition("@")
    theirs, ours, do = name, base.name, f"use --base {name}"
    if sha256 is not None:
        same = sha256 == base.content_hash
        theirs, ours = f"{name} (content {sha256!s:.16})", f"{base.name} (content {base.content_hash:.16})"
        do = "give the folder or name of that base model, with its own weights, with --base"
    elif start:
        same = name == base.name or base.content_hash.startswith(start)
        if not same and base.place is not None and base.place.is_dir():
            same = hash_with_unread_files(base.place).startswith(start)
        do = "give its folder with --base; behind the @ is the start of its content's hash"
    else:
        same = name == base.name
    if not same:
        raise NotComparableError(f"{place} was trained from the base model {theirs}, not from {ours}", do=do)


def weights_digest(place: Path, family: Family) -> str:
    """Hash of a checkpoint's weights; a step's own record is not one of them.

    Args:
        place: As :func:`find_checkpoint` finds it.
        family: Of its base model.
    """
    if not (place / RECORD).is_file():
        if (place / LORA_FILE).is_file():
            return hash_with_unread_files(place)
        if not is_adapter(place, family.folders.adapted):
            return content_hash(place, family.folders)
        # A pickle's own hash, and of what lies there only what is opened.
        return hashing.sha256_json(
            {
                p.relative_to(place).as_posix(): known_sha256(p)
                for p in adapter_files(place, family.folders.adapted)
            }
        )
    return _hash_of((p for p in place.rglob("*") if p.is_file() and p != place / RECORD), place)


def _hash_of(files: Iterable[Path], place: Path) -> str:
    return hashing.sha256_json({p.relative_to(place).as_posix(): known_sha256(p) for p in files})
