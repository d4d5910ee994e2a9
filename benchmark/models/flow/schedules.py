"""How a model's scheduler spaces sigma and shifts it towards noise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float
from torch import Tensor

from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.store import read_json

SCHEDULER: Final = FlowMatchEulerDiscreteScheduler.__name__
_REFUSED: Final = ("invert_sigmas", "stochastic_sampling")


def read_scheduler(folder: Path) -> dict[str, Any]:
    """A folder's scheduler_config.json.

    Args:
        folder: A pipeline's.

    Raises:
        UserError: if there is none.
    """
    place = folder / "scheduler" / "scheduler_config.json"
    config = read_json(place, "a scheduler's config")
    if not isinstance(config, dict):
        raise UnreadableFileError(place, "a scheduler's config", "it is no table of keys")
    return config


@dataclass(frozen=True, eq=False)
class Schedule:
    """The sigmas of a model's sampler.

    Attributes:
        config: Of diffusers' `FlowMatchEulerDiscreteScheduler`.
        tokens: Of one image, on which a dynamic shift depends.
        even: Whether the pipeline has the steps begin at evenly spaced sigmas 1, ..., 1/n, or leaves them to
            the scheduler.
    """

    config: Mapping[str, Any]
    tokens: int
    even: bool = False

    def __post_init__(self) -> None:
        """Refuses what would be another sampler, whose shift may have another name."""
        if (kind := self.config.get("_class_name", SCHEDULER)) != SCHEDULER:
            raise UserError(f"the scheduler is a {kind}", allowed=SCHEDULER)
        for name in _REFUSED:
            if self.config.get(name):
                raise UserError(f"the scheduler says {name}", allowed="the plain Euler steps of a flow")

    @cached_property
    def timesteps(self) -> int:
        """By what sigma is multiplied to be diffusers' timestep."""
        return int(self._scheduler().config.num_train_timesteps)

    @cached_property
    def mu(self) -> float | None:
        """The parameter of a dynamic shift, linear in the tokens of an image; None for a static one."""
        own = self._scheduler().config
        if not own.use_dynamic_shifting:
            return None
        slope = (own.max_shift - own.base_shift) / (own.max_image_seq_len - own.base_image_seq_len)
        return float(own.base_shift + slope * (self.tokens - own.base_image_seq_len))

    @cached_property
    def shift(self) -> float:
        r"""The s of `densities.shifted`: static, or $e^\mu$ (or $\mu$) of a dynamic shift."""
        own, mu = self._scheduler().config, self.mu
        if mu is None:
            return float(own.shift)
        return math.exp(mu) if own.time_shift_type == "exponential" else mu

    def sigmas(self, steps: int) -> Float[Tensor, " points"]:
        """The sigmas of a walk of that many steps, and the 0 it ends at; float32, as diffusers has them.

        Raises:
            UserError: for so few that the scheduler divides by zero.
        """
        scheduler = self._scheduler()
        asked: dict[str, Any] = {} if self.mu is None else {"mu": self.mu}
        if self.even:
            asked["sigmas"] = np.linspace(1.0, 1 / steps, steps)
        # With sigmas given, their number is that of the steps.
        scheduler.set_timesteps(None if self.even else steps, device="cpu", **asked)
        found: Tensor = scheduler.sigmas
        if not found.isfinite().all():
            # A stretch to `shift_terminal` keeps the first sigma, which is then the last one as well.
            raise UserError(f"steps is {steps}, and the scheduler has no sigmas for it", do="take more steps")
        return found.to(torch.float32)

    def _scheduler(self) -> FlowMatchEulerDiscreteScheduler:
        """A new one: its sigmas are state."""
        made: FlowMatchEulerDiscreteScheduler = FlowMatchEulerDiscreteScheduler.from_config(dict(self.config))
        return made
