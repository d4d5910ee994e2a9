"""The settings of `fbench train`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

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
from benchmark.core.settings import DEVICE, OFFLINE, PRECISION, Setting
from trainers.presets import preset_values

Share = Annotated[float, Field(ge=0, le=1)]

WHAT, HOW, RUN = "What is learned", "How", "The run"
_WITH_CODE = ("objective", "divergence")
_FOLDER_OF_CODE = re.compile(r"""(^|['"])[^'"(]*[/\\](?=[^'"(/\\]+\.py:[A-Za-z_])""")


@dataclass(frozen=True)
class TrainSetting(Setting):
    """What a setting of a training run says of itself.

    Attributes:
        record: What a checkpoint says of it. A hyperparameter that makes two runs two methods, by its value
            (`method`) or by the `content` of what it names; a `hyperparameter` in which runs of one method
            may differ, such as the seed; a `field` of the record itself; or `no`, because it moves no weight
            but for rounding, or shows in the hash of the data.
        together: Whether policies that are trained together have it in common (`shared`), or each its `own`.
    """

    record: Literal["method", "content", "hyperparameter", "field", "no"]
    together: Literal["shared", "own"]


class TrainConfig(Config):
    """The settings of a training run; equal ones make equal checkpoints on one machine.

    Where `beta` and `log_ratio_scale`, kappa, need not be stated they are 1, or the objective's own, and
    `auto`, which is 0.15 D. An empty `share_t` is `batch` where the objective compares pairs with each other,
    else `pair`.
    """

    # fmt: off
    preset: Annotated[str | None, TrainSetting(
        "A recipe of `fbench list presets`.", WHAT, "formerly", "hyperparameter", "own"
    )] = None
    base: Annotated[str, TrainSetting(
        "Base model: shapes, sd15, sdxl, a diffusers folder or a hub id. (default {default})",
        WHAT, "content", "field", "shared"
    )] = "shapes"
    data: Annotated[str, TrainSetting(
        "Preferences: a name, Pick-a-Pic-style parquet, a JSONL listing, a folder of either, or a hub id "
        "owner/name[:split]. (default {default})", WHAT, "content", "method", "shared"
    )] = "shapes-prefs"
    data_limit: Annotated[PositiveInt | None, TrainSetting(
        "Learn from the first pairs only, so many.", WHAT, "value", "no", "shared"
    )] = None
    ties: Annotated[Literal["drop", "half"], TrainSetting(
        "Leave ties out, or learn from both orders with half the weight. (default {default})",
        WHAT, "value", "method", "shared"
    )] = "drop"
    crop: Annotated[Literal["centre", "random"], TrainSetting(
        "Where the square is cut from an image that is none: its `centre`, or a place that is `random` from"
        " image to image.", WHAT, "value", "method", "shared", flag="none"
    )] = "centre"
    objective: Annotated[str, TrainSetting(
        "Of `fbench list objectives`, such as f_dpo or rpo(tau=0.3).", WHAT, "value", "field", "own"
    )] = "f_dpo"
    divergence: Annotated[str | None, TrainSetting(
        "Of `fbench list divergences`: NAME, NAME(a=0.5), mine.py:Name or expr: f. (default reverse_kl)",
        WHAT, "value", "field", "own"
    )] = None
    unchecked: Annotated[bool, TrainSetting(
        "Take a divergence that breaks the laws, to see what it does.",
        WHAT, "value", "method", "own", flag="none"
    )] = False
    beta: Annotated[PositiveFloat | None, TrainSetting(
        "Weight of the divergence. (default 1, or the objective's own; for shapes it must be given)",
        WHAT, "value", "method", "own"
    )] = None
    log_ratio_scale: Annotated[PositiveFloat | Literal["auto"] | None, TrainSetting(
        "Factor from prediction errors to nats. (default auto; for shapes it must be given)",
        WHAT, "value", "method", "own", metavar="X|auto"
    )] = None
    estimator: Annotated[Literal["denoising", "transition"], TrainSetting(
        "Of the log-ratio: `denoising` of noisy images, or `transition`, steps of the stored trajectories "
        "of data that `fbench pairs --trajectories` made.", WHAT, "value", "method", "shared", flag="none"
    )] = "denoising"
    log_ratio_centre: Annotated[Literal["none", "drift"], TrainSetting(
        "`drift` takes out of s its part that is not zero on average.",
        WHAT, "value", "method", "own", flag="none"
    )] = "none"
    slope_matched: Annotated[bool, TrainSetting(
        "Divide beta by f''(1), so that all divergences start alike.", WHAT, "value", "method", "own"
    )] = False
    share_t: Annotated[Literal["batch", "pair"] | None, TrainSetting(
        "Who shares a timestep: the two images of a pair, or all of a batch. (default the objective's)",
        WHAT, "value", "method", "own", metavar="pair|batch"
    )] = None
    t_density: Annotated[str | None, TrainSetting(
        "From which density flow models draw sigma: `uniform`, `logit_normal(mean=0, std=1, shift=3)`, with "
        "shift='model' that of the model's sampler; empty for the family's own. (default {default})",
        WHAT, "value", "method", "own", flag="none"
    )] = None
    error_of: Annotated[Literal["prediction", "noise", "image"], TrainSetting(
        "Of what the log-ratio compares errors: the `prediction`, or, for flow models, the `noise` or the "
        "`image` that follows from it.", WHAT, "value", "method", "shared", flag="none"
    )] = "prediction"
    embedding: Annotated[Literal["text", "image", "text+image"], TrainSetting(
        "By which embeddings `rpo` weighs its comparisons.", WHAT, "value", "method", "own", flag="none"
    )] = "text+image"
    clip: Annotated[Path | None, TrainSetting(
        "The CLIP of rpo's embeddings, a folder in open_clip's layout. (default the base model's own)",
        WHAT, "content", "content", "shared"
    )] = None
    lora_rank: Annotated[PositiveInt | Literal["full"], TrainSetting(
        "Rank of the adapter, or all weights. (default {default})",
        HOW, "value", "method", "own", metavar="N|full"
    )] = 16
    lora_targets: Annotated[Literal["attention", "all"], TrainSetting(
        "`attention` layers, or `all` linear and convolution layers of the blocks.",
        HOW, "value", "method", "own", flag="none"
    )] = "all"
    flip: Annotated[bool, TrainSetting(
        "Mirror half of the pairs of a batch. (default no)", HOW, "value", "method", "shared"
    )] = False
    steps: Annotated[PositiveInt, TrainSetting(
        "Optimiser steps. (default {default})", HOW, "value", "method", "own"
    )] = 200
    batch_size: Annotated[PositiveInt, TrainSetting(
        "Pairs a step. (default {default})", HOW, "value", "method", "own"
    )] = 64
    draws: Annotated[PositiveInt, TrainSetting(
        "Independent (t, noise) for each pair of a batch.", HOW, "value", "method", "own", flag="none"
    )] = 1
    micro_batches: Annotated[PositiveInt, TrainSetting(
        "Parts a batch goes through the network in; more need less memory and one more forward pass, and "
        "give the same gradient, whatever the objective.",
        HOW, "value", "hyperparameter", "own", flag="none"
    )] = 1
    optimizer: Annotated[Literal["adamw", "adamw8bit", "adafactor"], TrainSetting(
        "`adamw`; `adamw8bit`, whose states take a quarter of the memory; `adafactor`, whose take less.",
        HOW, "value", "method", "own", flag="none"
    )] = "adamw"
    lr: Annotated[PositiveFloat, TrainSetting(
        "Learning rate. (default 1e-4)", HOW, "value", "method", "own"
    )] = 1e-4
    lr_schedule: Annotated[Literal["constant", "cosine"], TrainSetting(
        "`constant`, or `cosine` down to 0.", HOW, "value", "method", "own", flag="none"
    )] = "constant"
    warmup: Annotated[NonNegativeInt | None, TrainSetting(
        "Steps over which the learning rate rises; empty for a twentieth of the steps.",
        HOW, "value", "method", "own", flag="none"
    )] = None
    weight_decay: Annotated[NonNegativeFloat, TrainSetting(
        "The optimiser's.", HOW, "value", "method", "own", flag="none"
    )] = 0.01
    max_grad_norm: Annotated[PositiveFloat | None, TrainSetting(
        "The gradient's norm is cut off there; empty for nowhere.", HOW, "value", "method", "own", flag="none"
    )] = 1.0
    ema: Annotated[Annotated[float, Field(gt=0, lt=1)] | None, TrainSetting(
        "Decay of a moving average of the weights, which is then what is saved; empty for none.",
        HOW, "value", "method", "own", flag="none"
    )] = None
    prompt_dropout: Annotated[Share, TrainSetting(
        "Share of captions replaced by the empty one.", HOW, "value", "method", "own", flag="none"
    )] = 0.0
    gradient_checkpointing: Annotated[bool, TrainSetting(
        "Less memory, more time. (default no)", HOW, "value", "no", "shared"
    )] = False
    early_updates: Annotated[bool, TrainSetting(
        "Move each weight as soon as its gradient is known: less memory, the same weights, and one more "
        "backward pass unless `max_grad_norm` is empty.", HOW, "never", "no", "own", flag="none"
    )] = False
    compile: Annotated[bool, TrainSetting(
        "Let torch compile the network; pays on a GPU after some minutes.",
        HOW, "value", "no", "shared", flag="none"
    )] = False
    seed: Annotated[NonNegativeInt, TrainSetting(
        "Seed of data order, timesteps, noise and adapter. (default {default})",
        HOW, "value", "hyperparameter", "own"
    )] = 0
    save_every: Annotated[PositiveInt | None, TrainSetting(
        "Steps between checkpoints. (default a tenth of the steps)", RUN, "value", "no", "own"
    )] = None
    cache_latents: Annotated[bool, TrainSetting(
        "Encode images and captions once, or at every step. (default once)", RUN, "value", "no", "shared"
    )] = True
    held_out_pairs: Annotated[NonNegativeInt, TrainSetting(
        "Pairs that are never trained on and watched at every checkpoint.",
        RUN, "value", "no", "shared", flag="none"
    )] = 64
    held_out_draws: Annotated[PositiveInt, TrainSetting(
        "(t, noise) for each of them.", RUN, "value", "no", "shared", flag="none"
    )] = 32
    max_bad_share: Annotated[Share, TrainSetting(
        "Share of unusable rows above which the data is refused.",
        RUN, "formerly", "no", "shared", flag="none"
    )] = 0.01
    validation_images: Annotated[NonNegativeInt, TrainSetting(
        "At each checkpoint so many images of held-out captions, to look at.",
        RUN, "never", "no", "own", flag="none"
    )] = 0
    tracker: Annotated[Literal["tensorboard", "wandb"] | None, TrainSetting(
        "`tensorboard` or `wandb`, beside `metrics.jsonl`; empty for none.",
        RUN, "never", "no", "own", flag="none"
    )] = None
    device: Annotated[str, TrainSetting(DEVICE.help, "", "formerly", "no", "shared")] = "auto"
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], TrainSetting(
        PRECISION.help, "", "content", "method", "shared"
    )] = "auto"
    offline: Annotated[bool, TrainSetting(OFFLINE.help, "", "never", "no", "shared", flag="switch")] = False
    cache: Annotated[Path | None, TrainSetting(
        "Folder of the cache of latents; empty for the user's.", RUN, "never", "no", "shared", flag="none"
    )] = None
    out: Annotated[Path, TrainSetting(
        "The run's folder. (default runs/PRESET or runs/train)", RUN, "never", "no", "own"
    )]
    # fmt: on

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
        return cls.parse({**recipe, **values}, str(file) if file else "", given)

    @field_validator("objective", "divergence", mode="before")
    @classmethod
    def _stripped(cls, text: object) -> object:
        return (text.strip() or None) if isinstance(text, str) else text

    @field_validator("t_density")
    @classmethod
    def _is_a_density(cls, text: str | None) -> str | None:
        if text is not None:
            from benchmark.models.flow.densities import check_density

            check_density(text)
        return text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup is not None and self.warmup > self.steps:
            raise ValueError(
                f"warmup is {self.warmup}, more than the {self.steps} steps; "
                f"set warmup to {self.steps} or less (--set warmup={self.steps}), or train more steps"
            )
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


TRAIN_SETTINGS: Final = TrainConfig.settings(TrainSetting)


def deciding(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's settings those that decide the weights by their value; what they name goes by its content.

    Where a Python file lies is taken out of objective and divergence. A setting that is not there, because
    the run is of before it was added, has its default.

    Args:
        values: As in a manifest.
    """
    own = {
        name: values.get(name, TrainConfig.model_fields[name].default)
        for name, setting in TRAIN_SETTINGS.items()
        if setting.identity == "value"
    }
    return own | {name: _FOLDER_OF_CODE.sub(r"\1", own[name]) for name in _WITH_CODE if own[name]}
