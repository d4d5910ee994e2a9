"""Laws of the hypervolume and of its differences."""

import numpy as np
import pytest

from benchmark.stats.pareto import hypervolume, hypervolume_difference, reference_point

WORST = np.array([-0.5, -1.0])


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 2))


def test_it_is_the_area_that_darts_hit(points: np.ndarray) -> None:
    top = points.max(axis=0)
    darts = np.random.default_rng(1).uniform(WORST, top, size=(100_000, 2))
    below = np.all(darts[:, None, :] <= points, axis=2)
    hit = np.any(below, axis=1).mean()
    assert hypervolume(points, WORST) == pytest.approx(hit * np.prod(top - WORST), rel=0.02)


def test_it_is_exact_by_inclusion_and_exclusion() -> None:
    points = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert hypervolume(points, np.zeros(2)) == pytest.approx(2 * 1 + 1 * 3 - 1 * 1)


def test_it_equals_pymoo() -> None:
    """On fronts of 1 to 20 points, some of them below the reference point or twice."""
    indicators = pytest.importorskip("pymoo.indicators.hv")
    for count in range(1, 21):
        points = np.random.default_rng(count).normal(size=(count, 2)).round(1)
        assert hypervolume(points, WORST) == pytest.approx(indicators.HV(ref_point=-WORST)(-points))


def test_more_points_never_make_it_smaller_and_dominated_ones_add_nothing(points: np.ndarray) -> None:
    area = hypervolume(points, WORST)
    more = np.random.default_rng(2).normal(size=(50, 1, 2))
    grown = hypervolume(np.concatenate([np.broadcast_to(points, (50, 6, 2)), more], axis=1), WORST)
    assert (grown >= area - 1e-12).all()
    behind = np.concatenate([points, points - 0.1, [[-9.0, 9.0]]])
    assert hypervolume(behind, WORST) == pytest.approx(area)


def test_order_place_and_units(points: np.ndarray) -> None:
    area = hypervolume(points, WORST)
    assert hypervolume(points[::-1], WORST) == pytest.approx(area)
    assert hypervolume(points + 7.0, WORST + 7.0) == pytest.approx(area)
    assert hypervolume(points * [2.0, 5.0], WORST * [2.0, 5.0]) == pytest.approx(10 * area)
    assert hypervolume(points[:, ::-1], WORST[::-1]) == pytest.approx(area)


def test_a_set_does_not_differ_from_itself() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3, 2))
    interval = hypervolume_difference(x, x[:, ::-1], WORST)
    assert (interval.value, interval.lo, interval.hi) == pytest.approx((0.0, 0.0, 0.0))


def test_the_jackknife_takes_most_of_the_bias_away() -> None:
    """Eight equal points: noise alone makes their front larger than one point's."""
    generator = np.random.default_rng(3)
    raw, corrected = [], []
    for _ in range(300):
        x = generator.normal(size=(50, 9, 2))
        means = x.mean(axis=0)
        worst = np.array([-3.0, -3.0])
        raw.append(float(hypervolume(means[:8], worst) - hypervolume(means[8:], worst)))
        corrected.append(hypervolume_difference(x[:, :8], x[:, 8:], worst).value)
    # How large the gap is: about 1 at a standard error of 0.14 an axis.
    assert np.mean(raw) > 0.5
    assert abs(np.mean(corrected)) < 0.6 * np.mean(raw)


def test_too_few_prompts_have_no_interval() -> None:
    x = np.ones((1, 2, 2))
    assert np.isnan(hypervolume_difference(x, 0 * x, WORST).lo)


def test_the_reference_point_is_three_sd_below_the_base() -> None:
    preference = np.array([[1.0, 3.0], [5.0, 7.0]])
    diversity = np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(reference_point(preference, diversity), [4 - 3 * np.sqrt(2), 2 - 3 * 1.0])
