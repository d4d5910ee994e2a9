"""DPM-Solver++ of a flow: diffusers' own steps, shifted as either scheduler of a model says."""

from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.models.flow.densities import shifted
from benchmark.models.flow.multistep import MultistepSteps, euler_config, solver_config

SOLVER: dict[str, Any] = {
    "_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++", "flow_shift": 3.0,
    "prediction_type": "flow_prediction", "use_flow_sigmas": True,
}  # fmt: skip
EULER: dict[str, Any] = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
CPU = torch.device("cpu")


def draw(seed: int) -> Tensor:
    return torch.randn((2, 4, 4, 4), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_the_steps_are_diffusers_to_the_bit(steps: int) -> None:
    scheduler: Any = DPMSolverMultistepScheduler.from_config(SOLVER)
    scheduler.set_timesteps(steps)
    walk, noise = MultistepSteps(solver_config(SOLVER), steps, CPU), draw(0)
    ours = theirs = walk.start(noise)
    assert torch.equal(ours, noise)
    assert torch.equal(torch.as_tensor(walk.times) * 1000, scheduler.timesteps.float())
    for k, t in enumerate(scheduler.timesteps):
        ours = walk.step(draw(k), walk.times[k], ours, [])
        theirs = scheduler.step(draw(k), t, theirs).prev_sample
        assert torch.equal(ours, theirs)


def test_a_network_that_knows_the_image_ends_at_it() -> None:
    """With 1,500 steps many ask at one timestep: their order counts, not their times."""
    for steps in (3, 1500):
        walk, x0, x = MultistepSteps(solver_config(SOLVER), steps, CPU), draw(0), draw(1)
        sigmas = shifted(torch.linspace(0.999, 0, steps + 1), 3.0)
        for sigma, t in zip(sigmas, walk.times, strict=False):
            assert abs(float(sigma - t)) < 2e-3
            x = walk.step((x - x0) / sigma, t, x, [])
        torch.testing.assert_close(x, x0, rtol=1e-3, atol=1e-3)


def test_either_scheduler_means_the_same_of_both_samplers() -> None:
    for config in (SOLVER, EULER):
        plain: Any = FlowMatchEulerDiscreteScheduler.from_config(euler_config(config))
        assert (plain.config.shift, plain.config.num_train_timesteps) == (3.0, 1000)
        solver: Any = DPMSolverMultistepScheduler.from_config(solver_config(config))
        assert (solver.config.flow_shift, solver.config.solver_order) == (3.0, 2)


@pytest.mark.parametrize("change", [{"use_flow_sigmas": False}, {"thresholding": True}])
def test_a_solver_of_something_else_is_refused(change: dict[str, Any]) -> None:
    for config in (solver_config, euler_config):
        with pytest.raises(UserError, match=f"the scheduler says {next(iter(change))}"):
            config({**SOLVER, **change})
