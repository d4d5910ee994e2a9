"""The settings of ``fbench frontier``."""

import math
from pathlib import Path

from pydantic import field_validator

from benchmark.core.config import Config
from benchmark.scorers import split_scorers

BEST_OF = (2, 4, 8, 16)
NONE = "none"


class FrontierConfig(Config):
    """``fbench frontier``: base model, prompts, K, sampling and seeds are those of the evaluation.

    Attributes:
        evaluation: The folder of ``fbench eval``; images and what scorers computed are kept in it.
        scales: Of classifier-free guidance, at least 1, which is none; the evaluation's own is always among
            them. None: seven around it, see :func:`benchmark.workflows.frontier.plan.default_scales`.
        best_of: The n, from 2 to 16.
        by: The scorer that chooses the best of n; None: the first learned preference scorer of the
            evaluation, primary ones first.
        scorers: As of ``fbench eval``; empty: the evaluation's.
        out: The folder of the result.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        offline: Forbid every network access.
    """

    evaluation: Path
    scales: tuple[float, ...] | None = None
    best_of: tuple[int, ...] = BEST_OF
    by: str | None = None
    scorers: tuple[str, ...] = ()
    out: Path
    device: str = "auto"
    offline: bool = False

    @field_validator("scales", "best_of", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if value == NONE:
            return ()
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("scorers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(split_scorers(value)) if isinstance(value, str) else value

    @field_validator("scales")
    @classmethod
    def _guided(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not all(scale >= 1 and math.isfinite(scale) for scale in value):
            raise ValueError("a guidance scale is at least 1, which is none")
        return None if value is None else tuple(sorted(set(value)))

    @field_validator("best_of")
    @classmethod
    def _in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(2 <= n <= 16 for n in value):
            raise ValueError("n is from 2 to 16")
        return tuple(sorted(set(value)))
