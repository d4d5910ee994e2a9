"""Base models: their facts, how to load one, and how to open what was trained from it.

Importing this room needs no torch; `benchmark.models.families.base.Pipeline` is what a loaded model is.
"""

from typing import TYPE_CHECKING

from benchmark.core.console import doing
from benchmark.core.hashing import sha256_json
from benchmark.core.records import Checkpoint
from benchmark.models.facts import (
    Family,
    ModelFacts,
    OwnClip,
    draws_embedded_world,
    family_of,
    model_facts,
    models,
)
from benchmark.models.hub import cached, default_sampling, whereabouts

if TYPE_CHECKING:
    from pathlib import Path

    from benchmark.models.families.base import P, Pipeline

__all__ = [
    "Family", "ModelFacts", "OwnClip", "base_hash", "checkpoint_hash", "default_sampling",
    "draws_embedded_world", "is_here",
    "load_pipeline", "model_facts", "models", "open_checkpoint", "whereabouts",
]  # fmt: skip


def base_hash(spec: str, *, offline: bool = False) -> str:
    """Hash of the content of a base model, whatever it is called: equal for equal bytes of what is loaded.

    Loads nothing and imports no torch; reads each file once a process (4 GB take seconds). See
    :func:`benchmark.models.files.content_hash` for what counts.

    Args:
        spec: As `--base` takes it.
        offline: Forbid every network access; else a hub id is fetched first.

    Raises:
        UserError: for an unknown name, or missing weights.
    """
    family, place = _find(spec, offline)
    return family.content_hash(place)


def _find(spec: str, offline: bool) -> "tuple[Family, Path]":
    """The family and the place of a base model, which is fetched if it is not here."""
    from benchmark.models.hub import download

    facts = model_facts(spec)
    place = download(facts.hub_id, offline=offline)[0] if facts.local is None else facts.local()
    return family_of(facts, place), place


def is_here(spec: str) -> bool:
    """Whether a base model lies on this machine, so that nothing need be fetched.

    Raises:
        UserError: for an unknown name.
    """
    facts = model_facts(spec)
    return facts.local is not None or cached(facts.hub_id) is not None


def checkpoint_hash(spec: str, base: str, *, offline: bool = False) -> str:
    """Hash of the content of a checkpoint and of its base model, whatever both are called; loads neither.

    Args:
        spec: As of :func:`open_checkpoint`.
        base: As of :func:`base_hash`.
        offline: Forbid every network access.

    Raises:
        UserError: if there is nothing of the kind.
    """
    family, place = _find(base, offline)
    under = family.content_hash(place)
    if spec == "base":
        return under
    from benchmark.models.checkpoints import find_checkpoint, weights_digest

    return sha256_json([weights_digest(find_checkpoint(spec, offline=offline), family), under])


def load_pipeline(
    spec: str, device: str = "cpu", *, offline: bool = False, precision: str = "auto"
) -> "Pipeline":
    """Loads a base model strictly: every weight is found, and none is left over.

    Args:
        spec: A registered name, a local folder or file, a hub id, or `path.py:Name`.
        device: As torch names it.
        offline: Forbid every network access.
        precision: `auto`, `fp32`, `bf16` or `fp16`.

    Raises:
        UserError: for an unknown name, missing or unreadable weights, or another kind of pipeline.
    """
    from benchmark.models import loading

    with doing(f"loading {spec}"):
        return loading.load_pipeline(spec, device, offline=offline, precision=precision)


def open_checkpoint(spec: str, base: "P", *, offline: bool = False) -> "tuple[Checkpoint, P]":
    """Opens what `--checkpoint` means; the base model itself is left as it is.

    Args:
        spec: `base`; a run folder, `RUN@STEP`, a step's folder; any form its family has: a diffusers
            pipeline, a bare network, a LoRA file; a hub id.
        base: The base model it was trained from.
        offline: Forbid every network access.

    Returns:
        The record, and the pipeline with the policy in the base network's place.

    Raises:
        UserError: if there is nothing of the kind, or it was trained from another base model.
    """
    from benchmark.models import checkpoints

    return checkpoints.open_checkpoint(spec, base, offline=offline)
