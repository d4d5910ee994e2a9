"""Densities of sigma: what is drawn, in which direction, and that diffusers' published one is the same."""

import inspect

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.training_utils import compute_density_for_timestep_sampling
from scipy.stats import ks_2samp, kstest, norm

from benchmark.core.errors import ConfigError
from benchmark.models.flow import densities
from benchmark.models.flow.densities import SigmaDensity, check_density, parse_density, shifted

DRAWS = 100_000
U = np.random.default_rng(0).random(DRAWS)


def published(mean: float, std: float, shift: float) -> np.ndarray:
    """Sigmas as diffusers' training scripts draw them: an index into the scheduler's own timesteps."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    u = compute_density_for_timestep_sampling(
        "logit_normal", DRAWS, logit_mean=mean, logit_std=std, generator=torch.Generator().manual_seed(1)
    )
    found: np.ndarray = scheduler.sigmas[(u * 1000).long()].double().numpy()
    return found


@pytest.mark.parametrize(
    ("mean", "std", "shift"), [(0.0, 1.0, 1.0), (0.0, 1.0, 3.0), (0.7, 1.0, 1.0), (-0.5, 0.6, 3.0)]
)
def test_the_density_is_diffusers_published_one_with_the_sign_of_its_mean_changed(
    mean: float, std: float, shift: float
) -> None:
    """On 100,000 draws; theirs are a thousand numbers, which alone is a distance of up to 0.003."""
    ours, theirs = SigmaDensity("logit_normal", -mean, std, shift)(U), published(mean, std, shift)
    assert ks_2samp(ours, theirs).statistic < 0.01
    if mean:
        wrong = SigmaDensity("logit_normal", mean, std, shift)(U)
        assert ks_2samp(wrong, theirs).statistic > 0.1


def test_a_positive_mean_and_a_shift_mean_more_noise() -> None:
    plain = SigmaDensity("logit_normal")(U).mean()
    assert plain == pytest.approx(0.5, abs=0.005)
    assert SigmaDensity("logit_normal", mean=1.0)(U).mean() > plain + 0.15
    assert SigmaDensity("logit_normal", shift=3.0)(U).mean() > plain + 0.15
    assert SigmaDensity("uniform", shift=3.0)(U).mean() > 0.6
    assert SigmaDensity("uniform", shift=1 / 3)(U).mean() < 0.4


def test_draws_have_the_density_that_is_stated() -> None:
    logits = np.log((sigma := SigmaDensity("logit_normal", 0.3, 0.8)(U)) / (1 - sigma))
    assert kstest(logits, norm(0.3, 0.8).cdf).statistic < 0.006
    assert np.array_equal(SigmaDensity()(U), U)
    back = shifted(SigmaDensity("uniform", shift=3.0)(U), 1 / 3)
    np.testing.assert_allclose(back, U, atol=1e-12)


@pytest.mark.parametrize(
    "density", [SigmaDensity("uniform", shift=3.0), SigmaDensity("logit_normal", 1.0, 2.0, 5.0)]
)
def test_a_density_is_a_quantile_function_within_0_and_1(density: SigmaDensity) -> None:
    u = np.concatenate([[0.0], np.sort(U[:1000]), [np.nextafter(1, 0)]]).reshape(2, -1)
    sigma = density(u)
    assert sigma.shape == u.shape
    assert sigma.dtype == np.float64
    assert bool(((sigma >= 0) & (sigma <= 1)).all())
    assert bool((np.diff(sigma.ravel()) >= 0).all())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("uniform", "uniform(shift=1)"),
        ("uniform(shift=2.5)", "uniform(shift=2.5)"),
        ("uniform(shift='model')", "uniform(shift=1.88)"),
        ("logit_normal", "logit_normal(mean=0, std=1, shift=1)"),
        ("logit-normal(mean=-0.5, std=0.7, shift='model')", "logit_normal(mean=-0.5, std=0.7, shift=1.88)"),
    ],
)
def test_a_setting_means_a_density_and_is_stated_resolved(text: str, meant: str) -> None:
    density = parse_density(text, 1.88)
    assert str(density) == meant
    assert parse_density(meant, 7.0) == density
    check_density(text)


@pytest.mark.parametrize(
    "text",
    [
        "normal", "uniform(3)", "uniform(mean=0)", "uniform(shift=0)", "logit_normal(std=-1)",
        "logit_normal(std=True)", "logit_normal(mean='a')", "uniform(shift='own')",
        "logit_normal(mean=1e999)",
    ],
)  # fmt: skip
def test_what_is_no_density_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ConfigError, match=r"t_density is .*allowed: uniform, .*logit_normal"):
        check_density(text)


def test_no_index_of_a_timestep_is_anywhere() -> None:
    source = inspect.getsource(densities)
    assert "randint" not in source
    assert "import torch" not in source
