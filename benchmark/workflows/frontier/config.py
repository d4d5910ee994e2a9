"""The settings of ``fbench frontier``."""

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from benchmark.core.config import Config
from benchmark.core.settings import DEVICE, OFFLINE, Setting
from benchmark.evaluate.config import Scorers

NONE = "none"

OPTIMUM = "The optimum under each divergence"


class FrontierConfig(Config):
    """``fbench frontier``: base model, prompts, K, sampling and seeds are those of the evaluation.

    Images, and what scorers computed, are kept in the evaluation's folder. Its own guidance scale is always
    among the scales; where none are named, see :func:`benchmark.workflows.frontier.plan.default_scales`.
    """

    # fmt: off
    evaluation: Annotated[Path, Setting(
        "A folder of `fbench eval`: whose base, prompts, images and sampling.",
        "", "content", metavar="EVAL", flag="argument"
    )]
    scales: Annotated[tuple[float, ...] | None, Setting(
        "Guidance scales, at least 1. (default seven from half to three times the evaluation's)",
        "", "value", metavar="A,B,...|none", flag="commas"
    )] = None
    best_of: Annotated[tuple[int, ...], Setting(
        "The n of best of n, from 2 to 16. (default {default})",
        "", "value", metavar="N,M,...|none", flag="commas"
    )] = (2, 4, 8, 16)
    by: Annotated[str | None, Setting(
        "Who chooses the best, and the reward of the optimum. (default the first learned preference scorer, "
        "primary ones first)",
        "", "content", metavar="SCORER"
    )] = None
    scorers: Annotated[Scorers, Setting(
        "Only these of the evaluation's. (default all but path_kl)",
        "", "content", metavar="A,B,...", flag="commas"
    )] = ()
    closed_form: Annotated[bool, Setting(
        "In place of guidance and best of n, what training would reach at best under each divergence: the "
        "optimum of the mean reward less beta D_f, as weights on images of the base.",
        OPTIMUM, "value", flag="switch"
    )] = False
    divergence: Annotated[tuple[str, ...], Setting(
        "NAME, NAME(a=0.5), mine.py:Name or expr: f, as in fbench train; once for each. (default every "
        "registered one, and those that the evaluation's checkpoints were trained under)",
        OPTIMUM, "content", metavar="D"
    )] = ()
    pool: Annotated[int, Field(ge=2, le=4096), Setting(
        "Images of the base per prompt that are weighed: the evaluation's, and as many more as that takes. "
        "(default {default})", OPTIMUM, "value", metavar="N"
    )] = 16
    betas: Annotated[tuple[float, ...] | None, Setting(
        "Weights of the divergence, in units of the reward. (default 40 from 30 to 0.03 times the reward's "
        "standard deviation within a prompt, evenly on a logarithmic scale)",
        OPTIMUM, "value", metavar="A,B,...", flag="commas"
    )] = None
    device: Annotated[str, DEVICE] = "auto"
    offline: Annotated[bool, OFFLINE] = False
    out: Annotated[Path, Setting(
        "The folder of the result. (default EVAL/frontier, or EVAL/closed-form)", "", "never"
    )]
    # fmt: on

    @field_validator("scales", "best_of", "betas", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if value == NONE:
            return ()
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("scales")
    @classmethod
    def _guided(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not all(scale >= 1 and math.isfinite(scale) for scale in value):
            raise ValueError("a guidance scale is at least 1, which is none")
        return None if value is None else tuple(sorted(set(value)))

    @field_validator("betas")
    @classmethod
    def _positive(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not (value and all(beta > 0 and math.isfinite(beta) for beta in value)):
            raise ValueError("a beta is a number above 0")
        return None if value is None else tuple(sorted(set(value), reverse=True))

    @model_validator(mode="after")
    def _one_of_both(self) -> "FrontierConfig":
        fields = type(self).model_fields
        others = ("scales", "best_of") if self.closed_form else ("divergence", "pool", "betas")
        for name in others:
            if getattr(self, name) != fields[name].default:
                option = f"--{name.replace('_', '-')}"
                goes = "goes without" if self.closed_form else "is needed for"
                raise ValueError(f"--closed-form {goes} {option}")
        return self

    @field_validator("best_of")
    @classmethod
    def _in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(2 <= n <= 16 for n in value):
            raise ValueError("n is from 2 to 16")
        return tuple(sorted(set(value)))
