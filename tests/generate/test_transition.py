"""The estimator `transition`: steps of stochastic DDIM as Gaussians, against diffusers and torch."""

import math

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor
from torch.distributions import Normal

from benchmark.models.families.unet.ddim import PredictionType, transition_steps
from benchmark.models.steps import TransitionSteps
from trainers.log_ratio import log_ratio, prediction_error

SHAPE = (4, 4, 4)
KINDS: tuple[PredictionType, ...] = ("epsilon", "v_prediction", "sample")


def _scheduler(kind: PredictionType) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind,
        clip_sample=False, set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _mean(scheduler: DDIMScheduler, output: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """mu of one step by diffusers: its noise set to zero."""
    mean: Tensor = scheduler.step(output, int(t), x, eta=1.0, variance_noise=torch.zeros_like(x)).prev_sample
    return mean


def _s(
    steps: TransitionSteps, k: int, before: Tensor, after: Tensor, policy: Tensor, reference: Tensor
) -> Tensor:
    which = torch.full(before.shape[:-3], k)
    target = steps.target(before, after, which)
    scale = steps.scale(math.prod(SHAPE))[which]
    return log_ratio(prediction_error_64(policy, target), prediction_error_64(reference, target), scale)


def prediction_error_64(prediction: Tensor, target: Tensor) -> Tensor:
    return (target - prediction).square().mean(dim=(-3, -2, -1))


@pytest.mark.parametrize("kind", KINDS)
def test_s_is_the_ratio_of_the_two_gaussians_of_a_step(kind: PredictionType) -> None:
    scheduler = _scheduler(kind)
    scheduler.set_timesteps(16)
    steps = transition_steps(scheduler, 16, kind)
    assert len(steps) >= 15
    before = _draw(0, 3, *SHAPE)
    policy, reference = _draw(1, 3, *SHAPE), _draw(2, 3, *SHAPE)
    for k in range(len(steps)):
        mu, mu_ref = (_mean(scheduler, out, steps.t[k], before) for out in (policy, reference))
        sigma = float(steps.sigma[k])
        after = mu_ref + sigma * _draw(10 + k, 3, *SHAPE)
        expected = (Normal(mu, sigma).log_prob(after) - Normal(mu_ref, sigma).log_prob(after)).sum((1, 2, 3))
        found = _s(steps, k, before, after, policy, reference)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_of_a_step_is_that_of_diffusers(kind: PredictionType) -> None:
    scheduler = _scheduler(kind)
    scheduler.set_timesteps(16)
    steps = transition_steps(scheduler, 16, kind)
    x, output, noise = (_draw(i, 1, *SHAPE) for i in range(3))
    for k, t in enumerate(steps.t):
        assert int(t) == int(scheduler.timesteps[steps.index[k]])
        drawn = scheduler.step(output, int(t), x, eta=1.0, variance_noise=noise).prev_sample
        torch.testing.assert_close(
            drawn - _mean(scheduler, output, t, x), float(steps.sigma[k]) * noise, rtol=1e-5, atol=1e-6
        )


def test_under_the_reference_the_mean_of_e_to_the_s_is_one() -> None:
    """Over 20,000 steps that the reference took; s has a standard deviation near a half."""
    scheduler = _scheduler("epsilon")
    scheduler.set_timesteps(16)
    steps = transition_steps(scheduler, 16, "epsilon")
    n, before = 20_000, _draw(0, 1, *SHAPE)
    reference = _draw(1, 1, *SHAPE)
    for k in (0, len(steps) // 2, len(steps) - 1):
        mu_ref = _mean(scheduler, reference, steps.t[k], before)
        after = mu_ref + steps.sigma[k] * _draw(5 + k, n, *SHAPE)
        # A policy half a standard deviation of the step away: s ~ N(-1/8, 1/4).
        away = 0.5 * float(steps.sigma[k] / steps.b[k].abs()) / math.sqrt(math.prod(SHAPE))
        ratio = _s(steps, k, before.expand(n, -1, -1, -1), after, reference + away, reference).exp()
        error = float(ratio.std()) / math.sqrt(n)
        assert 0.001 < error < 0.01
        assert float(ratio.mean()) == pytest.approx(1, abs=4 * error)


def test_a_step_without_noise_is_left_out() -> None:
    scheduler = DDIMScheduler(clip_sample=False, set_alpha_to_one=True)
    steps = transition_steps(scheduler, 10, "epsilon")
    assert steps.index.tolist() == list(range(9))
    assert bool((steps.sigma > 0).all())


def test_errors_of_the_library_are_those_of_the_test() -> None:
    a, b = _draw(0, 2, *SHAPE).float(), _draw(1, 2, *SHAPE).float()
    torch.testing.assert_close(prediction_error(a, b), prediction_error_64(a, b))
