"""Base models: their facts, how to load one, and how to open what was trained from it.

Importing this room needs no torch; `benchmark.models.base.Pipeline` is what a loaded model is.
"""

from typing import TYPE_CHECKING

from benchmark.core.records import Checkpoint
from benchmark.models.facts import ModelFacts, model_facts, models
from benchmark.models.hub import whereabouts

if TYPE_CHECKING:
    from benchmark.models.base import Pipeline

__all__ = ["ModelFacts", "load_pipeline", "model_facts", "models", "open_checkpoint", "whereabouts"]


def load_pipeline(
    spec: str, device: str = "cpu", *, offline: bool = False, precision: str = "auto"
) -> "Pipeline":
    """Loads a base model strictly: every weight is found, and none is left over.

    Args:
        spec: A registered name, a local diffusers folder, or a hub id.
        device: As torch names it.
        offline: Forbid every network access.
        precision: `auto`, `fp32`, `bf16` or `fp16`.

    Raises:
        UserError: for an unknown name, missing or unreadable weights, or another kind of pipeline.
    """
    from benchmark.models import loading

    return loading.load_pipeline(spec, device, offline=offline, precision=precision)


def open_checkpoint(spec: str, base: "Pipeline", *, offline: bool = False) -> "tuple[Checkpoint, Pipeline]":
    """Opens what `--checkpoint` means; the base model itself is left as it is.

    Args:
        spec: `base`; a run folder, `RUN@STEP`, a step's folder; a diffusers pipeline, a folder
            with `unet/`, a bare UNet; a LoRA file; a hub id.
        base: The base model it was trained from.
        offline: Forbid every network access.

    Returns:
        The record, and the pipeline with the policy in the base UNet's place.

    Raises:
        UserError: if there is nothing of the kind, or it was trained from another base model.
    """
    from benchmark.models import checkpoints

    return checkpoints.open_checkpoint(spec, base, offline=offline)
