"""Euler's steps of a flow, with and without noise: diffusers' own, the flow's marginals, Flow-GRPO's SDE."""

import math
from collections.abc import Callable

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from torch.distributions import Normal

from benchmark.models.flow.euler import EulerSteps, gaussians, transition_steps
from benchmark.models.flow.process import noisy, velocity
from trainers.log_ratio import log_ratio

SHAPE = (4, 4, 4)
CPU = torch.device("cpu")


def table(steps: int, shift: float = 3.0) -> Tensor:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    found: Tensor = scheduler.sigmas
    return found


def draw(seed: int, n: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn((n, *SHAPE), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def generators(n: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


def test_without_noise_steps_are_diffusers_to_the_bit() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(9)
    steps, x = EulerSteps(table(9), 0.0, CPU), draw(0, dtype=torch.float32)
    theirs = steps.start(x)
    assert torch.equal(theirs, x)
    ours = x
    assert torch.equal(torch.as_tensor(steps.times), scheduler.timesteps / 1000)
    for k, t in enumerate(scheduler.timesteps):
        said = draw(10 + k, dtype=torch.float32)
        ours = steps.step(said, steps.times[k], ours, generators(2))
        theirs = scheduler.step(said, t, theirs).prev_sample
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_a_step_that_knows_the_image_keeps_the_flows_marginals(eta: float) -> None:
    """The mean is (1 - sigma') x0 + r eps, and r^2 + tau^2 is sigma'^2."""
    sigmas = table(8).double()
    a, b, tau = gaussians(sigmas, eta)
    x0, eps = draw(0, 1), draw(1, 1)
    for k in range(8):
        x = noisy(x0, eps, sigmas[k : k + 1])
        mean = a[k] * x + b[k] * velocity(x0, eps)
        r = (sigmas[k + 1] ** 2 - tau[k] ** 2).clamp(min=0).sqrt()
        torch.testing.assert_close(mean, (1 - sigmas[k + 1]) * x0 + r * eps, rtol=1e-9, atol=1e-9)


def test_with_all_of_its_noise_a_step_is_the_flows_posterior() -> None:
    """By Bayes' rule for Gaussians, from q(x_sigma | x_sigma') and q(x_sigma' | x0)."""
    sigmas = table(8).double()[1:]
    a, b, tau = gaussians(sigmas, 1.0)
    x0, x = draw(0, 1), draw(1, 1)
    for k in range(6):
        before, after = sigmas[k], sigmas[k + 1]
        ratio = (1 - before) / (1 - after)
        spread = before**2 - (ratio * after) ** 2
        variance = 1 / (ratio**2 / spread + 1 / after**2)
        mean = variance * (ratio * x / spread + (1 - after) * x0 / after**2)
        said = (x - x0) / before
        torch.testing.assert_close(tau[k] ** 2, variance, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(a[k] * x + b[k] * said, mean, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_small_steps_are_the_sde_of_flow_grpo(eta: float) -> None:
    """arXiv 2505.05470, equation 12, at the noise level sqrt(2) eta."""
    sigmas = torch.linspace(0.95, 0.05, 20_001, dtype=torch.float64)
    a, b, tau = gaussians(sigmas, eta)
    sigma, dt = sigmas[:-1], sigmas.diff()
    std = math.sqrt(2) * eta * (sigma / (1 - sigma)).sqrt()
    torch.testing.assert_close(tau, std * (-dt).sqrt(), rtol=2e-3, atol=0)
    torch.testing.assert_close((a - 1) / dt, std**2 / (2 * sigma), rtol=2e-3, atol=0)
    torch.testing.assert_close(b / dt, 1 + std**2 * (1 - sigma) / (2 * sigma), rtol=2e-3, atol=0)


def test_the_steps_taken_are_those_that_are_compared() -> None:
    """What a walk with eta = 1 draws has the means and the noise of `transition_steps`."""
    sigmas = table(6)
    steps, walk = transition_steps(sigmas), EulerSteps(sigmas, 1.0, CPU)
    assert steps.index.tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(steps.t, torch.as_tensor(walk.times)[:5])
    x = walk.start(draw(0, dtype=torch.float32))
    for k in range(5):
        said = draw(20 + k, dtype=torch.float32)
        after = walk.step(said, walk.times[k], x, generators(2, 50 + k))
        noise = torch.cat([torch.randn((1, *SHAPE), generator=g) for g in generators(2, 50 + k)])
        mean = steps.a[k] * x.double() + steps.b[k] * said.double()
        torch.testing.assert_close(after.double(), mean + steps.sigma[k] * noise, rtol=1e-5, atol=1e-5)
        x = after
    assert torch.equal(walk.step(said, walk.times[5], x, generators(2)), walk_end(sigmas, x, said))


def walk_end(sigmas: Tensor, x: Tensor, said: Tensor) -> Tensor:
    """The last step has no noise: the image itself."""
    a, b, tau = gaussians(sigmas, 1.0)
    assert float(tau[5]) == 0
    return float(a[5]) * x + float(b[5]) * said


def s_of(k: int, before: Tensor, after: Tensor, policy: Tensor, reference: Tensor) -> Tensor:
    steps = transition_steps(table(12))
    which = torch.full((len(after),), k)
    target = steps.target(before.expand_as(after), after, which)
    errors = [(target - said).square().mean((-3, -2, -1)) for said in (policy, reference)]
    return log_ratio(errors[0], errors[1], steps.scale(math.prod(SHAPE))[which])


def test_s_is_the_ratio_of_the_two_gaussians_of_a_step() -> None:
    steps, before, policy, reference = transition_steps(table(12)), draw(0), draw(1), draw(2)
    for k in range(len(steps)):
        mu, mu_ref = (steps.a[k] * before + steps.b[k] * said for said in (policy, reference))
        sigma = float(steps.sigma[k])
        after = mu_ref + sigma * draw(10 + k)
        expected = (Normal(mu, sigma).log_prob(after) - Normal(mu_ref, sigma).log_prob(after)).sum((1, 2, 3))
        torch.testing.assert_close(s_of(k, before, after, policy, reference), expected, rtol=1e-6, atol=1e-6)


def test_under_the_reference_the_mean_of_e_to_the_s_is_one() -> None:
    """Over 20,000 steps that the reference took; s has a standard deviation near a half."""
    steps, n = transition_steps(table(12)), 20_000
    before, reference = draw(0, 1), draw(1, 1)
    for k in (0, len(steps) // 2, len(steps) - 1):
        mu_ref = steps.a[k] * before + steps.b[k] * reference
        after = mu_ref + steps.sigma[k] * draw(5 + k, n)
        away = 0.5 * float(steps.sigma[k] / steps.b[k].abs()) / math.sqrt(math.prod(SHAPE))
        ratio = s_of(k, before, after, reference + away, reference).exp()
        error = float(ratio.std()) / math.sqrt(n)
        assert 0.001 < error < 0.01
        assert float(ratio.mean()) == pytest.approx(1, abs=4 * error)


def test_at_noise_alone_a_step_is_finite() -> None:
    """At sigma = 1 Flow-GRPO's noise level has no bound; the posterior's is sigma'."""
    sigmas = table(4)
    assert float(sigmas[0]) == 1
    a, b, tau = gaussians(sigmas, 1.0)
    assert float(tau[0]) == float(sigmas[1])
    assert bool(torch.stack([a, b, tau]).isfinite().all())


def variance_of_walks(sigmas: Tensor, step: Callable[[int], tuple[float, float, float]]) -> float:
    """Where the walks of the best network end: of images N(0, 1/4) it says their mean, linear in x."""
    found = 1.0
    for k, sigma in enumerate(sigmas[:-1].tolist()):
        said = (sigma - (1 - sigma) / 4) / ((1 - sigma) ** 2 / 4 + sigma**2)
        a, b, tau = step(k)
        found = (a + b * said) ** 2 * found + tau**2
    return found


def test_the_best_network_has_the_flows_marginals_by_small_steps_alone() -> None:
    """The numbers of docs/decisions/noise-in-flow-steps.md."""

    def ours(steps: int, eta: float) -> float:
        a, b, tau = gaussians(table(steps), eta)
        return variance_of_walks(table(steps), lambda k: (float(a[k]), float(b[k]), float(tau[k])))

    def flow_grpo(k: int) -> tuple[float, float, float]:
        sigma, dt, second = float(sigmas[k]), float(sigmas[k + 1] - sigmas[k]), float(sigmas[1])
        std = 0.7 * math.sqrt(sigma / (1 - (second if sigma == 1 else sigma)))
        b = (1 + std**2 * (1 - sigma) / (2 * sigma)) * dt
        return 1 + std**2 / (2 * sigma) * dt, b, std * math.sqrt(-dt)

    sigmas = table(28)
    assert [round(ours(28, eta), 2) for eta in (0.0, 1.0)] == [0.20, 0.17]
    assert round(variance_of_walks(sigmas, flow_grpo), 2) == 0.22
    assert all(0.24 < ours(1000, eta) < 0.25 for eta in (0.0, 1.0))
