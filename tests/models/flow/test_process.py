"""The straight path to noise, errors of other parameterisations, and the losses of public codes on it."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from benchmark.models.families.base import ErrorOf
from benchmark.models.flow.process import WEIGHTS, noisy, velocity
from trainers.divergences import ReverseKL
from trainers.log_ratio import PolicyAndReference, pair_errors, prediction_error
from trainers.objectives import FDPO

SHAPE = (16, 8, 8)
D = float(math.prod(SHAPE))


def draw(seed: int, n: int = 6, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn((n, *SHAPE), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def sigmas(n: int = 6) -> Tensor:
    return torch.linspace(0.05, 0.95, n, dtype=torch.float64)


def test_the_path_is_straight_from_the_image_to_noise() -> None:
    x0, eps = draw(0), draw(1)
    assert torch.equal(noisy(x0, eps, torch.zeros(6, dtype=torch.float64)), x0)
    assert torch.equal(noisy(x0, eps, torch.ones(6, dtype=torch.float64)), eps)
    step = 1e-3
    slope = (noisy(x0, eps, sigmas() + step) - noisy(x0, eps, sigmas() - step)) / (2 * step)
    torch.testing.assert_close(slope, velocity(x0, eps), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("of", WEIGHTS)
def test_errors_of_parameterisations_agree_by_their_weights(of: ErrorOf) -> None:
    x0, eps, said, sigma = draw(0), draw(1), draw(2), sigmas()
    x, share = noisy(x0, eps, sigma), sigma[:, None, None, None]
    estimate, truth = {
        "prediction": (said, velocity(x0, eps)),
        "noise": (x + (1 - share) * said, eps),
        "image": (x - share * said, x0),
    }[of]
    weight = WEIGHTS[of]
    factor = torch.ones_like(sigma) if weight is None else weight(sigma)
    own = (said - velocity(x0, eps)).square().mean((1, 2, 3))
    torch.testing.assert_close(
        factor * own, (estimate - truth).square().mean((1, 2, 3)), rtol=1e-6, atol=1e-6
    )


def loss_of(policy: Tensor, reference: Tensor, target: Tensor, kappa: float, beta: float) -> Tensor:
    """Ours, of n pairs: winners first."""
    sides = [x.unflatten(0, (2, 1, -1)) for x in (policy, reference, target)]
    errors = [prediction_error(one, sides[2]) for one in sides[:2]]
    seen = pair_errors(PolicyAndReference(errors[0], errors[1]), kappa)
    return FDPO(ReverseKL(), beta)(seen).loss


@pytest.mark.parametrize("beta", [1.0, 100.0, 2000.0])
def test_with_means_the_loss_is_that_of_flow_grpo(beta: float) -> None:
    """Its `train_sd3_dpo.py`: errors averaged over a sample, and half its beta in the sigmoid."""
    target = velocity(draw(0, dtype=torch.float32), draw(1, dtype=torch.float32))
    policy, reference = (target + 0.3 * draw(i, dtype=torch.float32) for i in (2, 3))
    of_policy, of_reference = ((x - target).square().flatten(1).mean(1) for x in (policy, reference))
    against = of_policy - of_reference
    public = -logsigmoid(-0.5 * beta * (against[:3] - against[3:])).mean()
    for kappa in (0.5 * beta, 1.0):
        ours = loss_of(policy, reference, target, kappa, 0.5 * beta / kappa)
        assert float(ours) == pytest.approx(float(public), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("beta", [1e-3, 0.02, 1.0])
def test_with_sums_the_loss_is_that_of_simpletuner(beta: float) -> None:
    """Its `flow_dpo`: errors summed over a sample, and half of its running beta in the sigmoid."""
    target = velocity(draw(0, dtype=torch.float32), draw(1, dtype=torch.float32))
    policy, reference = (target + 0.03 * draw(i, dtype=torch.float32) for i in (2, 3))
    of_policy, of_reference = ((x - target).square().flatten(1).sum(1) for x in (policy, reference))
    gain = of_reference - of_policy
    public = -logsigmoid(0.5 * beta * (gain[:3] - gain[3:])).mean()
    ours = loss_of(policy, reference, target, D, 0.5 * beta)
    assert float(ours) == pytest.approx(float(public), rel=1e-6, abs=1e-6)


def test_at_the_reference_the_loss_is_log_2_and_s_is_0_to_the_bit() -> None:
    target, said = draw(0, dtype=torch.float32), draw(1, dtype=torch.float32)
    sides = [x.unflatten(0, (2, 1, -1)) for x in (said, target)]
    error = prediction_error(sides[0], sides[1])
    for scale in (None, torch.rand(1, 3)):
        seen = pair_errors(PolicyAndReference(error, error.clone(), scale=scale), 2500.0)
        assert not any(s.any() for s in seen.log_ratios())
    assert float(loss_of(said, said.clone(), target, 2500.0, 1.0)) == np.float32(math.log(2))
