"""The settings of ``fbench pairs``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from benchmark.core.config import Config
from benchmark.evaluate.config import EvalConfig
from benchmark.scorers import split_scorers


class PairsConfig(Config):
    """``fbench pairs``.

    Attributes:
        base: The base model: a registered name, a folder, a hub id.
        checkpoint: Whose images: as for ``fbench eval``.
        prompts: A registered prompt set, a file, or a folder with a published set.
        prompt_column: Of a file of prompts: the column of the texts; None: the usual names.
        limit: Only the first so many prompts.
        images_per_prompt: K.
        pairs_per_prompt: At most so many of the K (K - 1) / 2, best against worst first.
        scorers: Who labels: one scorer by its score, several by their mean rank. Only scorers of images.
        labels: Instead, a JSONL or CSV file of scores or of preferences; see `labels`.
        margin: Images whose scores (of several scorers: mean ranks) differ by no more are a tie.
        held_out_share: Share of the prompts whose pairs are held out.
        trajectories: Also keep the steps in which the images of pairs were drawn, for training with the
            estimator `transition`; then eta is 1.
        seed: Of the images, and of the order within a pair.
        sampler: Name; None: the base model's default, as for the next four.
        steps: Denoising steps.
        guidance: Scale of classifier-free guidance.
        eta: Noise added back per step.
        batch_size: Images per forward pass.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        offline: Forbid every network access.
        out: The folder of images and pairs.
    """

    base: str = "shapes"
    checkpoint: str = "base"
    prompts: str = "shapes-core"
    prompt_column: str | None = None
    limit: int | None = Field(None, ge=1)
    images_per_prompt: int = Field(4, ge=2)
    pairs_per_prompt: int = Field(1, ge=1)
    scorers: tuple[str, ...] = ()
    labels: Path | None = None
    margin: float = Field(0.0, ge=0, allow_inf_nan=False)
    held_out_share: float = Field(0.1, ge=0, lt=1)
    trajectories: bool = False
    seed: int = 0
    sampler: str | None = None
    steps: int | None = Field(None, ge=1)
    guidance: float | None = Field(None, ge=0)
    eta: float | None = Field(None, ge=0)
    batch_size: int | None = Field(None, ge=1)
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    offline: bool = False
    out: Path

    @field_validator("scorers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(split_scorers(value)) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source_of_labels(self) -> Self:
        if self.scorers and self.labels:
            raise ValueError("scorers and labels are both given: the pairs are labelled by one of them")
        return self

    @model_validator(mode="before")
    @classmethod
    def _noise_of_trajectories(cls, values: object) -> object:
        if not isinstance(values, dict) or not values.get("trajectories"):
            return values
        if values.get("eta") not in (None, 1, 1.0):
            raise ValueError(f"eta is {values['eta']}, and trajectories are of stochastic DDIM, eta 1")
        return {**values, "eta": 1.0}

    @property
    def evaluation(self) -> EvalConfig:
        """What is sampled and scored, as an evaluation would do it."""
        shared = {name: getattr(self, name) for name in EvalConfig.model_fields if name in _SHARED}
        # A shard is sampled and not scored.
        return EvalConfig(**shared, checkpoint=(self.checkpoint,), shard=None if self.scorers else "1/1")


_SHARED = set(PairsConfig.model_fields) - {"checkpoint"}
