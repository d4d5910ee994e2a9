"""The settings of ``fbench pairs``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from benchmark.core.config import Config
from benchmark.core.settings import DEVICE, OFFLINE, PRECISION, Setting
from benchmark.evaluate.config import (
    BATCH_SIZE,
    ETA,
    GUIDANCE,
    IMAGES,
    PROMPT_COLUMN,
    PROMPTS,
    SAMPLER,
    STEPS,
    EvalConfig,
    K,
    Scorers,
)

WHOSE, LABELS = "Whose images", "Who labels"


class PairsConfig(Config):
    """``fbench pairs``: the images are made as ``fbench eval`` makes them."""

    # fmt: off
    checkpoint: Annotated[str, Setting(
        "`base`, a run folder, RUN@STEP, a diffusers folder, a LoRA file, a hub id. (default {default})",
        WHOSE, "content"
    )] = "base"
    base: Annotated[str, Setting(
        "The base model it was trained from. (default {default})", WHOSE, "content"
    )] = "shapes"
    prompts: Annotated[str, replace(PROMPTS, group=WHOSE)] = "shapes-core"
    prompt_column: Annotated[str | None, replace(PROMPT_COLUMN, group=WHOSE)] = None
    limit: Annotated[int | None, Field(ge=1), Setting(
        "Use the first prompts only, so many.", WHOSE, "value"
    )] = None
    images_per_prompt: Annotated[int, Field(ge=2), replace(K, group=WHOSE)] = 4
    scorers: Annotated[Scorers, Setting(
        "Label by these: one by its score, several by their mean rank.",
        LABELS, "content", metavar="A,B,...", flag="commas"
    )] = ()
    labels: Annotated[Path | None, Setting(
        "Label by a .jsonl or .csv of {prompt_id, seed, score} or {prompt_id, preferred, rejected}.",
        LABELS, "content"
    )] = None
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False), Setting(
        "Scores that differ by no more are a tie. (default {default})", LABELS, "value"
    )] = 0.0
    pairs_per_prompt: Annotated[int, Field(ge=1), Setting(
        "Pairs of one prompt at most, best against worst first. (default {default})", LABELS, "value"
    )] = 1
    held_out_share: Annotated[float, Field(ge=0, lt=1), Setting(
        "Share of the prompts that is held out. (default {default})", LABELS, "value"
    )] = 0.1
    seed: Annotated[int, Setting(
        "Of images, and of the order in a pair. (default {default})", IMAGES, "value"
    )] = 0
    sampler: Annotated[str | None, SAMPLER] = None
    steps: Annotated[int | None, Field(ge=1), STEPS] = None
    guidance: Annotated[float | None, Field(ge=0), GUIDANCE] = None
    eta: Annotated[float | None, Field(ge=0, le=1), ETA] = None
    batch_size: Annotated[int | None, Field(ge=1), BATCH_SIZE] = None
    trajectories: Annotated[bool, Setting(
        "Also keep the steps of the images in pairs, for the estimator transition; eta is 1 then.",
        IMAGES, "value", flag="switch"
    )] = False
    device: Annotated[str, DEVICE] = "auto"
    precision: Annotated[Literal["auto", "fp32", "bf16"], replace(
        PRECISION, help="Of the networks: auto (bf16 where the hardware has it), fp32 or bf16. (default auto)"
    )] = "auto"
    offline: Annotated[bool, OFFLINE] = False
    out: Annotated[Path, Setting("Where all goes. (default runs/pairs)", "", "never")]
    # fmt: on

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
        both = PairsConfig.model_fields.keys() & EvalConfig.model_fields.keys() - {"checkpoint"}
        shared = {name: getattr(self, name) for name in both}
        # A shard is sampled and not scored.
        return EvalConfig(**shared, checkpoint=(self.checkpoint,), shard=None if self.scorers else "1/1")
