r"""DPM-Solver++ for flows, the sampler that some models were published with.

The second-order multistep solver (arXiv 2211.01095, algorithm 2) with $\alpha = 1 - \sigma$, as diffusers'
`DPMSolverMultistepScheduler` with `use_flow_sigmas` computes it: its sigmas are shifted by a static
`flow_shift`, and the network is asked at timesteps without their fractions.
"""

from collections.abc import Mapping
from typing import Any, Final, final

import torch
from diffusers import DPMSolverMultistepScheduler
from jaxtyping import Float, Num
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.models.steps import SamplerSteps

NAME: Final = "dpmsolver++"
SCHEDULER: Final = "DPMSolverMultistepScheduler"
_NEEDED: Final[Mapping[str, object]] = {
    "use_flow_sigmas": True,
    "prediction_type": "flow_prediction",
    "algorithm_type": "dpmsolver++",
    "thresholding": False,
}
"""What makes it a solver of a flow, without noise of its own."""


def solver_config(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """The solver's config for a model, whichever of the two schedulers it was published with.

    Args:
        scheduler: Its config, of the solver or of diffusers' `FlowMatchEulerDiscreteScheduler`.

    Raises:
        UserError: if it is a solver of something else.
    """
    if scheduler.get("_class_name") != SCHEDULER:
        shift, count = scheduler.get("shift", 1.0), scheduler.get("num_train_timesteps", 1000)
        return {**_NEEDED, "flow_shift": shift, "num_train_timesteps": count}
    own = DPMSolverMultistepScheduler.from_config(dict(scheduler)).config
    for name, value in _NEEDED.items():
        if own[name] != value:
            raise UserError(f"the scheduler says {name} {own[name]}", allowed=f"{name} {value}, of a flow")
    return dict(scheduler)


def euler_config(scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """The config of Euler's steps for a model, likewise.

    Args:
        scheduler: Its config, of either.

    Raises:
        UserError: as of :func:`solver_config`.
    """
    if scheduler.get("_class_name") != SCHEDULER:
        return dict(scheduler)
    own = DPMSolverMultistepScheduler.from_config(solver_config(scheduler)).config
    return {"shift": float(own.flow_shift), "num_train_timesteps": int(own.num_train_timesteps)}


@final
class MultistepSteps(SamplerSteps):
    """A walk by a scheduler of its own, which keeps the steps before.

    Args:
        config: See :func:`solver_config`.
        steps: How many.
        device: Where the network is.
    """

    def __init__(self, config: Mapping[str, Any], steps: int, device: torch.device) -> None:
        self._scheduler: Any = DPMSolverMultistepScheduler.from_config(dict(config))
        self._scheduler.set_timesteps(steps, device=device)
        # Many steps have equal timesteps: it must not look for the first one by its value.
        self._scheduler.set_begin_index(0)
        self._device = device
        self.times = self._scheduler.timesteps.float() / self._scheduler.config.num_train_timesteps

    def start(self, noise: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The noise itself."""
        return noise.to(self._device)

    def step(
        self,
        prediction: Float[Tensor, "n c h w"],
        t: Num[Tensor, ""],
        latents: Float[Tensor, "n c h w"],
        generators: list[torch.Generator],
    ) -> Float[Tensor, "n c h w"]:
        """The latents one step nearer to the image."""
        del generators  # no noise is drawn
        after: Tensor = self._scheduler.step(prediction, t, latents).prev_sample
        return after
