"""Opens what was trained: run folders, diffusers folders, bare UNets, LoRA files."""

import copy
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel

from benchmark.core import hashing
from benchmark.core.errors import MissingFileError, NotComparableError, UnreadableFileError, UserError
from benchmark.core.records import Checkpoint
from benchmark.core.store import read_json
from benchmark.models.base import Pipeline
from benchmark.models.facts import ModelFacts, looks_like_hub_id
from benchmark.models.files import ENDINGS, content_hash, hash_with_unread_files
from benchmark.models.hub import download
from benchmark.models.loading import load_part, open_folder
from benchmark.models.quiet import quiet

RECORD = "checkpoint.json"
LORA_FILE = "pytorch_lora_weights.safetensors"
EXTERNAL = "external"
"""The objective of a checkpoint that does not say how it was trained."""

_FORMS = "base, a run folder, RUN@STEP, a diffusers folder, a UNet folder, a LoRA .safetensors file, a hub id"
_ADAPTABLE = ("unet", "text_encoder", "text_encoder_2")
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
        return path
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
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", _name(place)).lstrip(".") or "checkpoint"
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


def _name(place: Path) -> str:
    """A checkpoint's own name: of a file without its ending, of a folder as it is."""
    name = place.resolve().name
    return name.removesuffix(place.suffix) if place.is_file() and place.suffix in ENDINGS else name


def _digest(place: Path) -> str:
    """Hash of the weights; a step's own record is not one of them."""
    if not (place / RECORD).is_file():
        return hash_with_unread_files(place) if (place / LORA_FILE).is_file() else content_hash(place)
    files = (p for p in place.rglob("*") if p.is_file() and p != place / RECORD)
    return hashing.sha256_json({p.relative_to(place).as_posix(): hashing.sha256_file(p) for p in files})


def _load_policy(place: Path, base: Pipeline) -> Pipeline:
    if place.is_file():
        return _with_lora(place, base)
    if (place / LORA_FILE).is_file():
        return _with_lora(place / LORA_FILE, base)
    if (place / "model_index.json").is_file():
        return _whole_pipeline(place, base)
    for folder in (place / "unet", place):
        if (folder / "config.json").is_file():
            _check_architecture(read_json(folder / "config.json", "a UNet's config"), base, place)
            return replace(base, unet=load_part(UNet2DConditionModel, folder, base.device))
    raise UnreadableFileError(place, "a checkpoint", f"it has no {LORA_FILE}, no unet/ and no config.json")


def _whole_pipeline(place: Path, base: Pipeline) -> Pipeline:
    """A complete folder with all of its own parts, which may have been trained as well."""
    _check_architecture(read_json(place / "unet" / "config.json", "a UNet's config"), base, place)
    facts = ModelFacts(name=base.name, sampler=base.sampler)
    return replace(open_folder(place, facts, base.device, precision=base.precision), sampler=base.sampler)


def _with_lora(file: Path, base: Pipeline) -> Pipeline:
    """A copy of the base with the adapter merged in, by the code that `load_lora_weights` runs.

    Merged it costs nothing: beside the weights, an adapter on every layer halved the images a second. The
    sum is float32. Where autocast rounds it to bfloat16 each weight rounds on its own, up or down, so a small
    adapter is not lost in the sums over a layer's inputs.
    """
    if file.suffix != ".safetensors":
        raise UserError(f"{file} is no .safetensors file", allowed=_FORMS)
    where: dict[str, Any] = {"weight_name": file.name, "local_files_only": True}
    with quiet():
        try:
            kind = StableDiffusionXLPipeline if base.is_xl else StableDiffusionPipeline
            state, *_ = kind.lora_state_dict(str(file.parent), unet_config=base.unet.config, **where)
            pipe = _with_copies(base, [name for name in _ADAPTABLE if _has_keys(state, name)])
            pipe.load_lora_weights(str(file.parent), **where)
        # A foreign or damaged file shows as an error of safetensors, peft or torch.
        except Exception as error:
            raise UnreadableFileError(file, f"a LoRA of {base.name}", error) from error
    parts = {name: part for name in _ADAPTABLE if (part := getattr(pipe, name, None)) is not None}
    loaded = sum("lora_" in name for part in parts.values() for name, _ in part.named_parameters())
    stated = sum("lora" in name and not name.endswith("alpha") for name in state)
    # diffusers only warns of what it leaves out.
    if loaded != stated or not loaded:
        why = f"{loaded} of its {stated} adapter weights have a place in that model"
        raise UnreadableFileError(file, f"a LoRA of {base.name}", why)
    with quiet():
        pipe.fuse_lora(components=[name for name, part in parts.items() if _has_adapter(part)])
        pipe.unload_lora_weights()
    for part in parts.values():
        part.requires_grad_(False).eval()
    return replace(base, **parts)


def _with_copies(base: Pipeline, changed: list[str]) -> StableDiffusionPipeline | StableDiffusionXLPipeline:
    """The base as diffusers' own pipeline, with copies of the parts that will be changed."""
    parts = {name: getattr(base, name) for name in (*_ADAPTABLE, "vae", "tokenizer")}
    parts |= {name: copy.deepcopy(parts[name]) for name in changed}
    parts["scheduler"] = copy.deepcopy(base.scheduler)
    if base.is_xl:
        return StableDiffusionXLPipeline(**parts, tokenizer_2=base.tokenizer_2, add_watermarker=False)
    del parts["text_encoder_2"]
    return StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )


def _has_keys(state: Mapping[str, object], part: str) -> bool:
    return any(key.startswith(f"{part}.") for key in state)


def _has_adapter(part: torch.nn.Module) -> bool:
    return any("lora_" in name for name, _ in part.named_parameters())


def _check_architecture(config: object, base: Pipeline, place: Path) -> None:
    """Refuses a UNet of another base model, where no record says so."""
    if not isinstance(config, dict):
        raise UnreadableFileError(place, "a UNet", "its config is no table of keys")
    own = base.unet.config
    for key in _ARCHITECTURE:
        theirs, ours = hashing.plain(config.get(key)), hashing.plain(own.get(key))
        if theirs != ours:
            raise NotComparableError(
                f"{place} is not a checkpoint of {base.name}: its UNet has {key} {theirs}, not {ours}",
                do="give the base model it was trained from with --base",
            )
