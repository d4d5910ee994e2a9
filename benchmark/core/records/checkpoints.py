"""What is evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Hyperparameter = float | int | str | bool | None
EXTERNAL = "external"
"""What stands for an objective, a base model or a sampler that is not known, because it is from elsewhere."""


@dataclass(frozen=True)
class Checkpoint:
    """A model that makes images; the base model itself is a checkpoint without an objective.

    Attributes:
        id: Names the weights: two checkpoints with one id make the same pixels. It becomes a folder name.
        base_model: Name of the base model in the registry, such as ``shapes`` or ``sd15``.
        objective: What it was trained with; None for the base model.
        divergence: The divergence of that objective, with its arguments; None where it has none.
        hyperparameters: beta, log_ratio_scale, seed, learning rate ...: plain values by name.
        step: Optimiser steps behind it; 0 for the base model.
        data_sha256: Hash of the training data.
        revision: Revision of the weights (a hub revision, or their hash).
        path: Where the weights are; None where the base model's own place is meant.
        method_settings: Names of the hyperparameters in which runs of one method agree, each with what a
            record without it stands for; empty in records of before these were written.
    """

    id: str
    base_model: str
    objective: str | None = None
    divergence: str | None = None
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict, hash=False)
    step: int = 0
    data_sha256: str | None = None
    revision: str | None = None
    path: Path | None = None
    method_settings: Mapping[str, Hyperparameter] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuses what no training run could have produced."""
        if not self.id or any(c in self.id for c in "/\\") or self.id.startswith("."):
            raise ValueError(f"a checkpoint's id must be usable as a folder name, not {self.id!r}")
        if self.step < 0:
            raise ValueError(f"checkpoint {self.id}: step is {self.step}")

    @property
    def is_base(self) -> bool:
        """Whether this is a base model as published, before any of our training."""
        return self.objective is None
