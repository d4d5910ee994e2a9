"""The settings of `fbench train`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from benchmark.core.config import Config, load_config_file
from trainers.presets import preset_values

Share = Annotated[float, Field(ge=0, le=1)]

_NO_MATTER = frozenset(
    {"preset", "out", "cache", "offline", "device", "tracker", "validation_images", "max_bad_share"}
)
"""Places, and what neither moves the weights nor says what they learn from."""
_BY_CONTENT = frozenset({"base", "data", "clip", "precision"})
"""Recognised by what they mean, however they are spelled: see `trainers.identity`."""
_WITH_CODE = ("objective", "divergence")
_FOLDER_OF_CODE = re.compile(r"""(^|['"])[^'"(]*[/\\](?=[^'"(/\\]+\.py:[A-Za-z_])""")


class TrainConfig(Config):
    """What a training run is; equal settings make equal checkpoints on one machine.

    Attributes:
        preset: The recipe that other settings were taken from; for the record.
        base: Base model: a name, a diffusers folder, or a hub id.
        data: Preference data: a name, a parquet or JSONL file, a folder of them, or a hub id.
        data_limit: Learn from the first so many pairs at most; empty for all.
        ties: `drop` leaves a tie out; `half` learns from both orders with half the weight each.
        crop: Where the square is cut from an image that is none: its `centre`, or a place that is
            `random` from image to image.
        flip: See half of the pairs, drawn anew at every step, in the mirror.
        cache_latents: Encode images and captions once, before the first step; else at every step.
        objective: With arguments where it takes them: `rpo(tau=0.3)`.
        divergence: With arguments where it takes them: `alpha(a=0.5)`; a class in a file: `mine.py:LeCam`;
            a formula: `expr: u*log(u)`; empty for reverse KL, where the objective has one.
        unchecked: Take a divergence that breaks the laws, to see what it does.
        beta: Weight of the divergence. Always stated for `shapes`; elsewhere 1 unless stated.
        log_ratio_scale: kappa, from prediction errors to nats; `auto` is 0.15 D. Always stated for
            `shapes`; elsewhere `auto` unless stated.
        estimator: Of the log-ratio: `denoising` of noisy images, or `transition`, steps of the stored
            trajectories of data that `fbench pairs --trajectories` made.
        log_ratio_centre: `drift` takes out of s its part that is not zero on average.
        slope_matched: Divide beta by f''(1), so that every divergence starts alike.
        share_t: One timestep for each `pair` or for the whole `batch`; empty: `batch` where the
            objective compares pairs with each other, else `pair`.
        embedding: What `rpo` weighs its comparisons by.
        clip: The CLIP for that, a folder in open_clip's layout; empty for the base model's own.
        lora_rank: Rank of the adapter, or `full` for all weights.
        lora_targets: `attention` layers, or `all` linear and convolution layers of the blocks.
        steps: Optimiser steps.
        batch_size: Pairs a step, over all devices.
        draws: Independent (t, noise) for each pair of a batch.
        micro_batches: Parts a batch goes through the network in; more need less memory and one more
            forward pass, and give the same gradient, whatever the objective.
        optimizer: `adamw`, or `adafactor`, which needs a small part of its memory.
        lr: Learning rate after the warm-up.
        lr_schedule: `constant`, or `cosine` down to 0.
        warmup: Steps over which the learning rate rises; empty for a twentieth of the steps.
        weight_decay: The optimiser's.
        max_grad_norm: The gradient's norm is cut off there.
        ema: Decay of a moving average of the weights, which is then what is saved; empty for none.
        prompt_dropout: Share of captions replaced by the empty one.
        gradient_checkpointing: Less memory, more time.
        compile: Let torch compile the network; pays on a GPU after some minutes.
        save_every: Steps between checkpoints; empty for a tenth of the steps.
        held_out_pairs: Pairs that are never trained on and watched at every checkpoint.
        held_out_draws: (t, noise) for each of them.
        max_bad_share: Share of unusable rows above which the data is refused.
        validation_images: At each checkpoint so many images of held-out captions, to look at.
        tracker: `tensorboard` or `wandb`, beside `metrics.jsonl`; empty for none.
        precision: `auto` is bf16 where the hardware has it, fp16 on a GPU that lacks it, else fp32.
        device: `auto`, `cpu`, `cuda`, `mps`.
        seed: Of the order of the data, of timesteps and noise, of an adapter's first weights.
        offline: Forbid every network access.
        cache: Folder of the cache of latents; empty for the user's.
        out: The run's folder.
    """

    preset: str | None = None
    base: str = "shapes"
    data: str = "shapes-prefs"
    data_limit: PositiveInt | None = None
    ties: Literal["drop", "half"] = "drop"
    crop: Literal["centre", "random"] = "centre"
    flip: bool = False
    cache_latents: bool = True
    objective: str = "f_dpo"
    divergence: str | None = None
    unchecked: bool = False
    beta: PositiveFloat | None = None
    log_ratio_scale: PositiveFloat | Literal["auto"] | None = None
    estimator: Literal["denoising", "transition"] = "denoising"
    log_ratio_centre: Literal["none", "drift"] = "none"
    slope_matched: bool = False
    share_t: Literal["batch", "pair"] | None = None
    embedding: Literal["text", "image", "text+image"] = "text+image"
    clip: Path | None = None
    lora_rank: PositiveInt | Literal["full"] = 16
    lora_targets: Literal["attention", "all"] = "all"
    steps: PositiveInt = 200
    batch_size: PositiveInt = 64
    draws: PositiveInt = 1
    micro_batches: PositiveInt = 1
    optimizer: Literal["adamw", "adafactor"] = "adamw"
    lr: PositiveFloat = 1e-4
    lr_schedule: Literal["constant", "cosine"] = "constant"
    warmup: NonNegativeInt | None = None
    weight_decay: NonNegativeFloat = 0.01
    max_grad_norm: PositiveFloat = 1.0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    prompt_dropout: Share = 0.0
    gradient_checkpointing: bool = False
    compile: bool = False
    save_every: PositiveInt | None = None
    held_out_pairs: NonNegativeInt = 64
    held_out_draws: PositiveInt = 32
    max_bad_share: Share = 0.01
    validation_images: NonNegativeInt = 0
    tracker: Literal["tensorboard", "wandb"] | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    device: str = "auto"
    seed: NonNegativeInt = 0
    offline: bool = False
    cache: Path | None = None
    out: Path

    @classmethod
    def resolve(cls, file: Path | None, flags: Mapping[str, Any]) -> Self:
        """Settings of a command: the preset's, overruled by the file's, overruled by the flags given.

        Raises:
            UserError: for an unknown preset or key, or an impossible value.
        """
        given = {k.replace("-", "_"): v for k, v in flags.items() if v is not None}
        in_file = {} if file is None else {k.replace("-", "_"): v for k, v in load_config_file(file).items()}
        values = {**in_file, **given}
        preset = values.get("preset")
        recipe = preset_values(str(preset)) if preset is not None else {}
        return cls.parse({**recipe, **values}, source=str(file) if file else "")

    @field_validator("objective", "divergence", mode="before")
    @classmethod
    def _stripped(cls, text: object) -> object:
        return (text.strip() or None) if isinstance(text, str) else text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup is not None and self.warmup > self.steps:
            raise ValueError(f"warmup is {self.warmup}, more than the {self.steps} steps")
        if self.micro_batches > self.batch_size:
            raise ValueError(
                f"micro_batches is {self.micro_batches}, more than the batch of {self.batch_size}"
            )
        return self

    @property
    def saves(self) -> int:
        """Steps between checkpoints."""
        return self.save_every or max(1, self.steps // 10)

    @property
    def rising(self) -> int:
        """Steps over which the learning rate rises."""
        return self.steps // 20 if self.warmup is None else self.warmup

    def identity(self) -> dict[str, Any]:
        """The settings that decide the weights by their value; see `deciding`."""
        return deciding(self.model_dump(mode="json"))


def deciding(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's settings those that decide the weights by their value; what they name goes by its content.

    Where a Python file lies is taken out of objective and divergence. A setting that is not there, because
    the run is of before it was added, has its default.

    Args:
        values: As in a manifest.
    """
    own = {
        name: values.get(name, field.default)
        for name, field in TrainConfig.model_fields.items()
        if name not in _NO_MATTER | _BY_CONTENT
    }
    return own | {name: _FOLDER_OF_CODE.sub(r"\1", own[name]) for name in _WITH_CODE if own[name]}
