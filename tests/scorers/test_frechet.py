"""Laws of the Frechet distance, and agreement with the two usual ways to compute it."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torchmetrics.image.fid import _compute_fid

from benchmark.scorers.engine.distances import Gaussian, Moments, frechet_distance


def features(n: int, d: int, seed: int = 0, smallest: float = 1e-2) -> np.ndarray:
    """Correlated features whose spread falls over some orders of magnitude."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(d, d)))
    x: np.ndarray = (rng.normal(size=(n, d)) * np.geomspace(1, smallest, d)) @ turned + rng.normal(size=d)
    return x


def by_scipy(x: np.ndarray, y: np.ndarray) -> float:
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    apart = x.mean(0) - y.mean(0)
    return float(apart @ apart + np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(a @ b).real))


def by_torchmetrics(x: np.ndarray, y: np.ndarray) -> float:
    sides = [torch.from_numpy(part) for z in (x, y) for part in (z.mean(0), np.cov(z, rowvar=False))]
    return float(_compute_fid(*sides))


# The last two references span fewer dimensions than there are.
@pytest.mark.parametrize(("d", "n", "m"), [(4, 40, 9), (24, 200, 2000), (64, 400, 40), (96, 60, 30)])
def test_it_agrees_with_scipy_and_torchmetrics(d: int, n: int, m: int) -> None:
    x, y = features(n, d), features(m, d, seed=1)
    ours = frechet_distance(Gaussian.of(x), Gaussian.of(y))
    assert ours == pytest.approx(by_scipy(x, y), rel=1e-6)
    assert ours == pytest.approx(by_torchmetrics(x, y), rel=1e-6)


def test_features_that_never_vary_and_copies_are_no_trouble() -> None:
    x, y = features(200, 16), features(300, 16, seed=1)
    x[:, 3] = y[:, 3] = 0.0
    y[:, 5] = y[:, 6]
    ours = frechet_distance(Gaussian.of(x), Gaussian.of(y))
    assert ours == pytest.approx(by_scipy(x, y), rel=1e-6)
    one = np.repeat(x[:1], 50, axis=0)
    apart = x[0] - y.mean(0)
    # One image repeated: a point, whose covariance is zero.
    expected = apart @ apart + np.trace(np.cov(y, rowvar=False))
    assert frechet_distance(Gaussian.of(one), Gaussian.of(y)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("m", [300, 20])
def test_zero_to_itself_symmetric_and_positive(m: int) -> None:
    x, y = Gaussian.of(features(200, 32)), Gaussian.of(features(m, 32, seed=1))
    scale = float(x.covariance.trace() + y.covariance.trace())
    assert 0 <= frechet_distance(x, x) < 1e-12 * scale
    assert 0 <= frechet_distance(y, y) < 1e-7 * scale
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)
    assert frechet_distance(x, y) > 0


def test_a_translation_adds_its_square_and_a_dilation_that_of_the_spread() -> None:
    x = features(300, 8)
    shift = np.linspace(-1, 2, 8)
    base = Gaussian.of(x)
    assert frechet_distance(base, Gaussian.of(x + shift)) == pytest.approx(shift @ shift, rel=1e-9)
    spread = float(base.covariance.trace())
    wider = Gaussian.of(x.mean(0) + 3 * (x - x.mean(0)))
    assert frechet_distance(base, wider) == pytest.approx((3 - 1) ** 2 * spread, rel=1e-9)


def test_gaussians_on_axes_have_a_closed_form() -> None:
    s, t = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 4.0, 1.0]).double()
    one = Gaussian(torch.zeros(3).double(), torch.diag(s))
    other = Gaussian(torch.ones(3).double(), torch.diag(t))
    expected = 3 + float((s.sqrt() - t.sqrt()).square().sum())
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kept", [190, 40, 2])
def test_a_part_costs_what_is_left_out_and_is_the_same(kept: int) -> None:
    # Far from the origin, where sums of squares would lose digits.
    x = features(200, 12) + 1e3
    index = np.random.default_rng(0).permutation(200)[:kept]
    part, anew = Moments(x).gaussian(index), Gaussian.of(x[index])
    torch.testing.assert_close(part.mean, torch.from_numpy(x[index].mean(0)), rtol=1e-12, atol=0)
    expected = torch.from_numpy(np.cov(x[index], rowvar=False))
    torch.testing.assert_close(part.covariance, expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(anew.covariance, expected, rtol=1e-7, atol=1e-9)
    assert part.n == kept


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="two samples"):
        Gaussian.of(features(1, 3))
