"""Opens what was trained: run folders, diffusers folders, bare UNets, adapters."""

import re
import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from benchmark.core import hashing
from benchmark.core.errors import MissingFileError, NotComparableError, UnreadableFileError, UserError
from benchmark.core.records import Checkpoint
from benchmark.core.store import read_json
from benchmark.models.adapters import adapter_files, adapter_place, is_adapter, open_adapter
from benchmark.models.base import Pipeline
from benchmark.models.facts import ModelFacts, looks_like_hub_id
from benchmark.models.files import (
    ENDINGS,
    content_hash,
    find_weights,
    hash_with_unread_files,
    network_folders,
    own_name,
    unet_folder,
)  # fmt: skip
from benchmark.models.hub import download
from benchmark.models.kinds import contents
from benchmark.models.loading import load_part, load_vae, open_folder
from benchmark.models.single_file import check_noise, open_policy

RECORD = "checkpoint.json"
LORA_FILE = "pytorch_lora_weights.safetensors"
EXTERNAL = "external"
"""The objective of a checkpoint that does not say how it was trained."""

_FORMS = (
    "base, a run folder, RUN@STEP, a diffusers folder, a UNet folder or file, a whole model in one file, "
    "an adapter's file, a PEFT folder, a hub id"
)
_STEP = re.compile(r"^step-(\d+)$")
_ARCHITECTURE = (
    "in_channels", "out_channels", "sample_size", "cross_attention_dim", "block_out_channels",
    "layers_per_block", "down_block_types", "up_block_types",
)  # fmt: skip


def open_checkpoint(spec: str, base: Pipeline, *, offline: bool = False) -> tuple[Checkpoint, Pipeline]:
    """See :func:`benchmark.models.open_checkpoint`."""
    if spec == "base":
        return Checkpoint(id="base", base_model=base.name, revision=base.revision), base
    place = find_checkpoint(spec, offline=offline)
    checkpoint = _read_record(place, base)
    return checkpoint, _load_policy(place, base)


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
    raise MissingFileError(path, "checkpoint", do=f"allowed: {_FORMS}")


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
    digest = _digest(place)
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


def _digest(place: Path) -> str:
    """Hash of the weights; a step's own record is not one of them."""
    if not (place / RECORD).is_file():
        if (place / LORA_FILE).is_file():
            return hash_with_unread_files(place)
        if not is_adapter(place):
            return content_hash(place)
        # A pickle's own hash, and of what lies there only what is opened.
        return hashing.sha256_json(
            {p.relative_to(place).as_posix(): hashing.sha256_file(p) for p in adapter_files(place)}
        )
    files = (p for p in place.rglob("*") if p.is_file() and p != place / RECORD)
    return hashing.sha256_json({p.relative_to(place).as_posix(): hashing.sha256_file(p) for p in files})


def _load_policy(place: Path, base: Pipeline) -> Pipeline:
    if is_adapter(place):
        _refuse_whole_networks(place)
        for file in (path for path in adapter_files(place) if path.suffix in ENDINGS):
            check_noise(file, contents(file), base)
        return open_adapter(place, base)
    if place.is_file():
        found = contents(place)
        check_noise(place, found, base)
        return open_adapter(place, base) if found.kind == "other" else open_policy(place, found, base)
    if (place / "model_index.json").is_file():
        return _whole_pipeline(place, base)
    folder = unet_folder(place)
    if folder is None:
        why = f"it has no {LORA_FILE}, no unet/ and no config.json"
        raise UnreadableFileError(place, "a checkpoint", why, do=_inside(place))
    return replace(_load_unet(folder, place, base), **_load_beside(place, base))


def _load_unet(folder: Path, place: Path, base: Pipeline) -> Pipeline:
    """The base with the UNet of a network's folder, which may be weights alone."""
    if (folder / "config.json").is_file():
        _check_architecture(read_json(folder / "config.json", "a UNet's config"), base, place)
        return replace(base, unet=load_part(UNet2DConditionModel, folder, base.device))
    weights = find_weights(folder)
    # As accelerate numbers what was trained together, without saying what is what.
    if any(folder.glob("model_1.*")):
        raise UnreadableFileError(
            folder, "a UNet", "it holds the weights of several networks", do=f"give one: {weights.files[0]}"
        )
    if weights.index is None:
        return _load_policy(weights.files[0], base)
    raise MissingFileError(folder / "config.json", "config of a network in parts")


def _load_beside(place: Path, base: Pipeline) -> dict[str, Any]:
    """The networks beside a UNet, which training scripts save where they were trained as well."""
    found: dict[str, nn.Module] = {}
    for name, folder in network_folders(place).items():
        if name == "unet":
            continue
        own: Any = getattr(base, name)
        kind: Any = type(own)
        if own is not None:
            device = base.device
            found[name] = load_vae(folder, device) if name == "vae" else load_part(kind, folder, device)
        if own is None or _shapes(found[name]) != _shapes(own):
            raise NotComparableError(
                f"{folder} is not the {name} of a checkpoint of {base.name}: its sizes are others",
                do="give the base model it was trained from with --base",
            )
    return found


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in network.state_dict().items()}


def _refuse_whole_networks(place: Path) -> None:
    """Refuses an adapter's folder that holds whole networks, which might be meant as well."""
    for folder in network_folders(place).values():
        adapter = adapter_files(place)[0]
        raise UserError(
            f"{place} holds an adapter, {adapter.name}, and whole networks, such as {folder.name}/",
            do=f"give what you mean: --checkpoint {shlex.quote(str(adapter))}, or {folder.name}/ without it",
        )


def _inside(place: Path) -> str:
    """What a folder that is no checkpoint itself holds: the steps of a training script, or files."""
    steps = [p for p in place.glob("checkpoint-*") if p.name.removeprefix("checkpoint-").isdecimal()]
    steps.sort(key=lambda p: int(p.name.removeprefix("checkpoint-")))
    files = sorted(p for p in place.glob("*") if p.suffix in ENDINGS)
    found = [*steps[-1:], *files[:1]]
    return f"give what is in it: --checkpoint {shlex.quote(str(found[0]))}" if found else ""


def _whole_pipeline(place: Path, base: Pipeline) -> Pipeline:
    """A complete folder with all of its own parts, which may have been trained as well."""
    _check_architecture(read_json(place / "unet" / "config.json", "a UNet's config"), base, place)
    facts = ModelFacts(name=base.name, sampler=base.sampler)
    return replace(open_folder(place, facts, base.device, precision=base.precision), sampler=base.sampler)


def _check_architecture(config: object, base: Pipeline, place: Path) -> None:
    """Refuses a UNet of another base model, where no record says so."""
    if not isinstance(config, dict):
        raise UnreadableFileError(place, "a UNet", "its config is no table of keys")
    # A transformers config has `architectures`, one of diffusers `_class_name`.
    kind = config.get("_class_name") or next(iter(config.get("architectures") or ()), "")
    if kind not in ("", UNet2DConditionModel.__name__):
        raise UserError(f"{place} holds a {kind}", allowed=_FORMS)
    own = base.unet.config
    for key in _ARCHITECTURE:
        theirs, ours = hashing.plain(config.get(key)), hashing.plain(own.get(key))
        if theirs != ours:
            raise NotComparableError(
                f"{place} is not a checkpoint of {base.name}: its UNet has {key} {theirs}, not {ours}",
                do="give the base model it was trained from with --base",
            )
