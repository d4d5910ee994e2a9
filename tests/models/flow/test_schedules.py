"""How a model's sigmas are spaced and shifted: as plain diffusers' pipelines have it."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import calculate_shift

from benchmark.core.errors import UserError
from benchmark.models.flow.densities import shifted
from benchmark.models.flow.schedules import Schedule

DYNAMIC: dict[str, Any] = {"use_dynamic_shifting": True, "shift": 3.0}


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_static_shift_is_the_schedulers(shift: float) -> None:
    schedule = Schedule({"shift": shift}, tokens=4096)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(28)
    assert (schedule.shift, schedule.mu, schedule.timesteps) == (shift, None, 1000)
    assert torch.equal(schedule.sigmas(28), scheduler.sigmas)


@pytest.mark.parametrize(("side", "factor"), [(1024, 3.158), (512, 1.878)])
def test_a_dynamic_shift_grows_with_the_image(side: int, factor: float) -> None:
    """In FLUX's pipeline, 16 pixels of a side are one token."""
    tokens = (side // 16) ** 2
    schedule = Schedule(DYNAMIC, tokens, even=True)
    mu = calculate_shift(tokens, 256, 4096, 0.5, 1.15)
    assert schedule.mu == pytest.approx(mu)
    assert schedule.shift == pytest.approx(factor, abs=1e-3)
    scheduler = FlowMatchEulerDiscreteScheduler(**DYNAMIC)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / 20, 20), mu=mu)
    assert torch.equal(schedule.sigmas(20), scheduler.sigmas)
    plain = torch.linspace(1, 1 / 20, 20)
    torch.testing.assert_close(schedule.sigmas(20)[:-1], shifted(plain, schedule.shift))


def test_a_linear_time_shift_is_mu_itself() -> None:
    schedule = Schedule({**DYNAMIC, "time_shift_type": "linear"}, tokens=4096)
    assert schedule.shift == pytest.approx(1.15)
    assert math.exp(1.15) == pytest.approx(Schedule(DYNAMIC, tokens=4096).shift)


def test_sigmas_fall_from_noise_to_the_image() -> None:
    for config in ({"shift": 3.0}, DYNAMIC, {**DYNAMIC, "shift_terminal": 0.02}):
        sigmas = Schedule(config, 1024, even=True).sigmas(10)
        assert sigmas.dtype == torch.float32
        assert float(sigmas[0]) == 1
        assert float(sigmas[-1]) == 0
        assert bool((sigmas.diff() < 0).all())


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
def test_so_few_steps_that_a_stretch_divides_by_zero_are_refused() -> None:
    schedule = Schedule({**DYNAMIC, "shift_terminal": 0.02}, 1024, even=True)
    assert bool(schedule.sigmas(2).isfinite().all())
    with pytest.raises(UserError, match="steps is 1, .*take more steps"):
        schedule.sigmas(1)


@pytest.mark.parametrize("name", ["invert_sigmas", "stochastic_sampling"])
def test_a_scheduler_of_another_sampler_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        Schedule({name: True}, 64)


def test_the_scheduler_of_another_class_is_refused() -> None:
    """Its shift would be lost: DPM-Solver++ calls it `flow_shift`."""
    named = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    assert Schedule(named, 64).shift == 3
    with pytest.raises(UserError, match=r"the scheduler is a DPMSolver\w+; allowed: FlowMatchEuler"):
        Schedule({"_class_name": "DPMSolverMultistepScheduler", "flow_shift": 3.0}, 64)
