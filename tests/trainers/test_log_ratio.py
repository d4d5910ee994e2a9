"""The proxy log-ratio: sign, scale, precision, and what its centre does."""

import math

import pytest
import torch

from trainers.log_ratio import log_ratio, log_ratio_scale, prediction_drift, prediction_error


def test_the_error_is_a_mean_over_channels_and_pixels() -> None:
    target = torch.zeros(2, 3, 4, 5)
    prediction = torch.zeros(2, 3, 4, 5)
    prediction[1, 2, 3, 4] = 6.0
    assert prediction_error(prediction, target).tolist() == [0.0, pytest.approx(36 / 60)]
    draws = prediction_error(
        prediction[None].expand(7, -1, -1, -1, -1), target[None].expand(7, -1, -1, -1, -1)
    )
    assert draws.shape == (7, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_error_is_float32_also_under_autocast(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 4, 4, 8, 8).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        error = prediction_error(prediction, target)
        s = log_ratio(error, error / 2, 100.0)
    assert error.dtype == s.dtype == torch.float32
    exact = (target.double() - prediction.double()).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(error.double(), exact, rtol=1e-6, atol=0)


def test_s_is_positive_where_the_policy_predicts_better() -> None:
    policy, reference = torch.tensor([0.9, 1.0, 1.2]), torch.tensor([1.0, 1.0, 1.0])
    assert log_ratio(policy, reference, 100.0).tolist() == pytest.approx([10, 0, -20], rel=1e-5)
    assert log_ratio(policy, policy, 1e6).tolist() == [0, 0, 0]


def test_drift_is_added_to_s() -> None:
    error, drift = torch.tensor([1.5]), torch.tensor([0.2])
    assert log_ratio(error, torch.tensor([1.0]), 10.0, drift).tolist() == pytest.approx([-3.0])


def test_on_samples_of_the_reference_s_is_below_zero_on_average_and_drift_centres_it() -> None:
    # On them target = reference + something with mean zero: every +x here has its -x.
    torch.manual_seed(0)
    reference = torch.randn(1, 4, 8, 8).expand(64, -1, -1, -1)
    noise = torch.randn(32, 4, 8, 8)
    target = reference + torch.cat([noise, -noise])
    policy = reference + 0.1 * torch.randn(1, 4, 8, 8)
    errors = prediction_error(policy, target), prediction_error(reference, target)
    drift = prediction_drift(policy, reference)
    scale = 40.0
    assert float(log_ratio(*errors, scale).mean()) == pytest.approx(-scale * float(drift[0]), rel=1e-4)
    assert abs(float(log_ratio(*errors, scale, drift).mean())) < 1e-4
    assert float(drift[0]) == pytest.approx(float((policy - reference)[0].square().mean()))


def test_gradients_reach_the_policy_alone() -> None:
    policy, reference = torch.ones(2, 3, 1, 2, 2).mul(2).requires_grad_().unbind(0)
    target = torch.zeros(3, 1, 2, 2)
    drift = prediction_drift(policy, reference)
    assert not drift.requires_grad
    policy_error = prediction_error(policy, target)
    reference_error = prediction_error(reference, target)
    s = log_ratio(policy_error, reference_error, 5.0, drift + policy_error)
    to_policy, to_reference = torch.autograd.grad(s.sum(), [policy_error, reference_error], allow_unused=True)
    assert to_policy.tolist() == [-5.0] * 3
    assert to_reference is None


def test_half_precision_errors_are_refused() -> None:
    with pytest.raises(TypeError, match="float32"):
        log_ratio(torch.zeros(1, dtype=torch.bfloat16), torch.zeros(1), 1.0)


def test_auto_scale() -> None:
    assert log_ratio_scale("auto", (4, 64, 64)) == pytest.approx(2457.6)  # SD1.5; 2500 in the papers
    assert log_ratio_scale("auto", (4, 16, 16)) == pytest.approx(153.6)
    assert log_ratio_scale(0.5, (4, 16, 16)) == 0.5
    assert log_ratio_scale(2500.0, (4, 16, 16)) == 2500.0


@pytest.mark.parametrize("setting", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_is_no_scale_is_refused(setting: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        log_ratio_scale(setting, (4, 16, 16))
