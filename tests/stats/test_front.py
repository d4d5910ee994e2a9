"""Laws of the Pareto front, its confidence set and its support."""

import numpy as np
import pytest

from benchmark.stats.pareto import front_set, front_support, on_front
from benchmark.stats.resampling import resample_counts


def slow_front(points: np.ndarray) -> list[bool]:
    return [not any((other >= point).all() and (other > point).any() for other in points) for point in points]


def test_front_equals_its_definition_also_with_ties() -> None:
    points = np.random.default_rng(0).integers(0, 5, size=(200, 7, 2)).astype(float)
    fast = on_front(points)
    assert fast.tolist() == [slow_front(p) for p in points]
    assert fast.any(axis=1).all()


@pytest.fixture
def x() -> np.ndarray:
    generator = np.random.default_rng(1)
    means = np.array([[0.0, 2.0], [1.0, 1.0], [0.9, 0.9], [0.0, 0.0], [2.0, 0.0]])
    return means + generator.normal(size=(80, 1, 2)) + 0.4 * generator.normal(size=(80, 5, 2))


def test_the_set_holds_the_samples_front_and_drops_what_is_surely_behind(x: np.ndarray) -> None:
    stays = front_set(x, resamples=500)
    np.testing.assert_array_equal(stays, [True, True, True, False, True])
    assert stays[on_front(x.mean(axis=0))].all()


def test_order_and_copies_do_not_matter(x: np.ndarray) -> None:
    stays = front_set(x, resamples=500)
    np.testing.assert_array_equal(front_set(x[:, ::-1], resamples=500), stays[::-1])
    doubled = front_set(np.concatenate([x, x], axis=1), resamples=500)
    np.testing.assert_array_equal(doubled[:5], doubled[5:])
    assert (doubled[:5] >= stays).all()


def test_units_do_not_matter(x: np.ndarray) -> None:
    np.testing.assert_array_equal(front_set(x, resamples=300), front_set(x * [1e3, 1e-3], resamples=300))


def test_without_noise_the_set_is_the_front() -> None:
    means = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.5], [-1.0, -1.0]])
    x = np.broadcast_to(means, (30, 5, 2))
    # What is equal on one axis is not surely behind.
    np.testing.assert_array_equal(front_set(x, resamples=100), [True, True, True, True, False])


def test_the_whole_true_front_is_in_the_set() -> None:
    generator = np.random.default_rng(2)
    means = np.array([[0.0, 0.5], [0.3, 0.3], [0.5, 0.0], [0.0, 0.5]])
    held = []
    for table in range(200):
        x = means + generator.normal(size=(50, 4, 2)) + generator.exponential(size=(50, 1, 2))
        held.append(front_set(x, resamples=200, seed=table).all())
    assert np.mean(held) >= 0.93


def test_one_checkpoint_or_one_prompt_is_never_dropped(x: np.ndarray) -> None:
    assert front_set(x[:, :1]).all()
    assert front_set(x[:1]).all()


def test_support_equals_the_loop_it_replaces(x: np.ndarray) -> None:
    shares = np.zeros(5)
    for count in np.concatenate(list(resample_counts(80, 60, 7))):
        shares += slow_front(np.repeat(x, count.astype(int), axis=0).mean(axis=0))
    np.testing.assert_allclose(front_support(x, resamples=60, seed=7), shares / 60)


def test_support_is_shared_by_equals_and_full_for_a_sure_member(x: np.ndarray) -> None:
    support = front_support(x, resamples=400)
    assert support[0] == support[4] == 1.0
    assert support[3] == 0.0
    assert 0.5 < support[1] < 1.0
    assert support[1] + support[2] >= 1.0
