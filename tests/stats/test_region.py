"""Laws of the joint region of two means."""

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.region import Region, joint_region


def region_of(x: np.ndarray, resamples: int = 2000) -> Region:
    region = joint_region(x, resamples=resamples)
    assert region is not None
    return region


def semi_axes(region: Region) -> tuple[float, float]:
    """Half the major and half the minor axis, in the units of the plane."""
    minor, major = np.sqrt(region.q * np.maximum(np.linalg.eigvalsh(region.covariance), 0.0))
    return float(major), float(minor)


@pytest.fixture
def x() -> np.ndarray:
    generator = np.random.default_rng(0)
    drawn: np.ndarray = generator.normal(size=(80, 2)) @ np.array([[1.0, 0.6], [0.0, 0.3]])
    drawn += np.array([3.0, -1.0])
    return drawn


def test_it_is_hotellings_on_normal_data(x: np.ndarray) -> None:
    region = region_of(x, 10_000)
    expected = 2 * 79 / 78 * stats.f.ppf(0.95, 2, 78)
    assert region.q == pytest.approx(expected, rel=0.08)
    np.testing.assert_allclose(region.covariance, np.cov(x.T) / 80)


def test_bootstrap_equals_the_loop_it_replaces(x: np.ndarray) -> None:
    from benchmark.stats.region import _bootstrap_t2
    from benchmark.stats.resampling import resample_counts

    fast = _bootstrap_t2(x - x.mean(axis=0), 40, seed=3)
    for t2, count in zip(fast, np.concatenate(list(resample_counts(80, 40, 3))), strict=True):
        drawn = np.repeat(x, count.astype(int), axis=0)
        away = drawn.mean(axis=0) - x.mean(axis=0)
        assert t2 == pytest.approx(80 * away @ np.linalg.solve(np.cov(drawn.T), away))


def test_the_outline_is_the_edge(x: np.ndarray) -> None:
    region = region_of(x)
    outline = region.outline(60)
    np.testing.assert_allclose(outline[0], outline[-1])
    away = outline - region.centre
    np.testing.assert_allclose(
        np.einsum("pi,ij,pj->p", away, np.linalg.inv(region.covariance), away), region.q
    )
    assert region.contains(region.centre + 0.999 * away[7])
    assert not region.contains(region.centre + 1.001 * away[7])
    major, minor = semi_axes(region)
    lengths = np.linalg.norm(region.outline(10_000) - region.centre, axis=1)
    assert (lengths.max(), lengths.min()) == pytest.approx((major, minor), rel=1e-4)
    direction = np.array([np.cos(np.radians(region.angle)), np.sin(np.radians(region.angle))])
    assert region.contains(region.centre + 0.999 * major * direction)
    assert not region.contains(region.centre + 1.001 * major * direction)


def test_units_change_nothing_but_units(x: np.ndarray) -> None:
    scale = np.array([100.0, 0.001])
    plain, scaled = region_of(x), region_of(x * scale + 5.0)
    assert scaled.q == pytest.approx(plain.q)
    extent = [np.ptp(region.outline(2000), axis=0) for region in (plain, scaled)]
    np.testing.assert_allclose(extent[1], extent[0] * scale, rtol=1e-3)


def test_it_covers_both_means_together() -> None:
    generator = np.random.default_rng(4)
    inside = []
    for table in range(300):
        x = generator.gamma(4.0, size=(60, 2))
        x[:, 1] -= 0.7 * x[:, 0]
        region = joint_region(x, resamples=300, seed=table)
        assert region is not None
        inside.append(region.contains(np.array([4.0, 1.2])))
    assert 0.91 <= np.mean(inside) <= 0.985


def test_prompts_without_a_number_are_left_out_and_too_few_have_no_region(x: np.ndarray) -> None:
    gap = np.vstack([x, [[np.nan, np.nan]]])
    assert region_of(gap).q == region_of(x).q
    assert joint_region(x[:2]) is None
    x[2:, 1] = np.nan
    assert joint_region(x) is None


def test_each_axis_has_the_mean_and_the_error_of_its_own_prompts(x: np.ndarray) -> None:
    x[:30, 0], x[50:, 1] = np.nan, np.nan
    region = region_of(x)
    for axis in range(2):
        own = x[~np.isnan(x[:, axis]), axis]
        assert region.centre[axis] == pytest.approx(own.mean())
        assert region.covariance[axis, axis] == pytest.approx(own.var(ddof=1) / own.size)
    # Prompts that both have are all that moves the two together.
    both = x[30:50] - region.centre
    weight = 80 * 79 / (50 * 49)
    assert region.covariance[0, 1] == pytest.approx((both.prod(axis=1)).sum() * weight / (80 * 79))
    x[30:50, 0] = np.nan
    assert region_of(x).covariance[0, 1] == pytest.approx(0.0, abs=1e-12)


def test_regions_with_gaps_cover_both_means_together() -> None:
    generator = np.random.default_rng(5)
    inside = []
    for table in range(300):
        x = generator.gamma(4.0, size=(80, 2))
        x[:, 1] -= 0.7 * x[:, 0]
        x[generator.random(80) < 0.4, 0] = np.nan
        region = joint_region(x, resamples=300, seed=table)
        assert region is not None
        inside.append(region.contains(np.array([4.0, 1.2])))
    assert 0.91 <= np.mean(inside) <= 0.985


def test_the_reference_against_itself_is_a_point() -> None:
    region = region_of(np.zeros((20, 2)))
    assert semi_axes(region) == (0.0, 0.0)
    assert region.contains(np.zeros(2))
    assert not region.contains(np.array([0.0, 1e-9]))


def test_two_copies_of_one_axis_have_no_area(x: np.ndarray) -> None:
    region = region_of(x[:, [0, 0]])
    major, minor = semi_axes(region)
    assert np.isfinite(major)
    assert minor < 1e-6 * major
    assert region.angle == pytest.approx(45.0)
