"""Laws of the comparison with the best, the jackknife and the missing-data rule."""

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.best import (
    comparison_of_leads,
    not_worse_than_best,
    not_worse_than_best_jackknife,
    tie_groups,
)
from benchmark.stats.cells import missing_share, order_is_fragile
from benchmark.stats.intervals import Interval
from benchmark.stats.jackknife import jackknife_interval, prompt_groups, t_test_p


def test_clear_differences_give_one_group_each_and_ties_share() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(80, 1))
    x = noise + np.array([0.0, 1.0, 1.0, 2.0]) + 0.1 * generator.normal(size=(80, 4))
    groups = tie_groups(lambda left: not_worse_than_best(x[:, left], resamples=2000), 4)
    np.testing.assert_array_equal(groups, [3, 2, 2, 1])


def test_the_sample_best_always_stays_and_copies_stay_together() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5))
    x[:, 4] = x[:, 0]
    stays = not_worse_than_best(x, resamples=500)
    assert stays[x.mean(axis=0).argmax()]
    assert stays[0] == stays[4]
    assert not_worse_than_best(x[:, :1]).all()


def test_groups_from_one_set_of_resamples_are_those_of_repeated_comparisons() -> None:
    generator = np.random.default_rng(1)
    x = generator.gamma(2.0, size=(40, 1)) + 0.1 * np.arange(8) + 0.5 * generator.normal(size=(40, 8))
    first, second = np.triu_indices(8, k=1)
    once = tie_groups(comparison_of_leads(x[:, first] - x[:, second], 8, resamples=300), 8)
    again = tie_groups(lambda left: not_worse_than_best(x[:, left], resamples=300), 8)
    np.testing.assert_array_equal(once, again)
    assert once.max() > 2


def test_constant_leads_are_sure() -> None:
    x = np.random.default_rng(0).normal(size=(20, 1)) + np.array([[0.0, 1.0]])
    np.testing.assert_array_equal(not_worse_than_best(x, resamples=200), [False, True])


def test_the_true_best_stays_in_95_of_100() -> None:
    """Least favourable case: the best is tied with all others."""
    generator = np.random.default_rng(5)
    kept = [
        not_worse_than_best(
            generator.exponential(size=(40, 1)) + generator.normal(size=(40, 4)), resamples=400
        )[0]
        for _ in range(400)
    ]
    assert 0.92 <= np.mean(kept) <= 0.99


def test_set_metrics_are_compared_by_the_jackknife() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 1)) + np.array([0.0, 0.02, 1.0])
    x += 0.1 * generator.normal(size=x.shape)
    leave_out = np.stack([np.delete(x, slice(10 * g, 10 * g + 10), 0).mean(0) for g in range(20)])
    stays = not_worse_than_best_jackknife(x.mean(axis=0), leave_out)
    np.testing.assert_array_equal(stays, [False, False, True])


def test_without_errors_nothing_is_told_apart() -> None:
    """Two prompts, or no leave-out values: the groups end, and the sample's best is in the first."""
    x = np.array([[0.0, 1.0], [0.0, 3.0]])
    assert tie_groups(lambda left: not_worse_than_best(x[:, left], resamples=50), 2)[1] == 1
    values, leave_out = np.array([1.0, 2.0]), np.empty((0, 2))
    groups = tie_groups(lambda left: not_worse_than_best_jackknife(values[left], leave_out[:, left]), 2)
    np.testing.assert_array_equal(groups, [1, 1])


def test_the_jackknife_of_a_mean_is_the_standard_error_of_group_means() -> None:
    x = np.random.default_rng(0).normal(size=(20, 7))
    leave_out = np.array([np.delete(x, g, axis=0).mean() for g in range(20)])
    interval = jackknife_interval(float(x.mean()), leave_out)
    means = x.mean(axis=1)
    assert interval.se == pytest.approx(stats.sem(means))
    low, high = stats.t.interval(0.95, 19, loc=means.mean(), scale=stats.sem(means))
    assert (interval.lo, interval.hi) == pytest.approx((low, high))
    assert t_test_p(interval) == pytest.approx(stats.ttest_1samp(means, 0.0).pvalue)


def test_jackknife_covers_the_difference_of_two_frechet_distances() -> None:
    """One-dimensional Frechet distances of paired sets, 20 groups of prompts."""
    generator = np.random.default_rng(1)

    def frechet(x: np.ndarray) -> np.ndarray:
        distance: np.ndarray = x.mean(axis=-1) ** 2 + (x.std(axis=-1) - 1.0) ** 2
        return distance

    runs, n, groups = 1000, 200, 20
    shared = generator.normal(size=(runs, n))
    a = 0.8 * shared + 0.6 * generator.normal(size=(runs, n)) + 0.5
    b = 0.8 * shared + 0.6 * generator.normal(size=(runs, n)) + 0.3
    difference = frechet(a) - frechet(b)
    folds = np.array_split(np.arange(n), groups)
    leave_out = np.stack([frechet(np.delete(a, f, 1)) - frechet(np.delete(b, f, 1)) for f in folds])
    intervals = [jackknife_interval(float(difference[r]), leave_out[:, r]) for r in range(runs)]
    assert np.mean([i.lo <= 0.25 - 0.09 <= i.hi for i in intervals]) == pytest.approx(0.95, abs=0.03)


def test_jackknife_edges() -> None:
    assert np.isnan(jackknife_interval(1.0, np.array([1.0])).lo)
    assert np.isnan(t_test_p(jackknife_interval(1.0, np.array([1.0]))))
    assert t_test_p(Interval(0.0, 0.0, 0.0, 0.0, 20)) == 1.0
    assert t_test_p(Interval(2.0, 2.0, 2.0, 0.0, 20)) == 0.0


def test_prompt_groups_depend_on_the_ids_alone() -> None:
    ids = [f"p{i}" for i in range(96)]
    groups = prompt_groups(ids)
    assert groups == prompt_groups(ids[::-1])
    assert len(groups) == 20
    assert sorted(id_ for group in groups for id_ in group) == sorted(ids)
    assert {len(group) for group in groups} == {4, 5}
    assert len(prompt_groups(ids[:7])) == 7


def test_missing_share_counts_cells() -> None:
    cells = np.zeros((2, 5, 4))
    cells[1, 0, 0] = np.nan
    np.testing.assert_allclose(missing_share(np.isnan(cells)), [0.0, 0.05])


def test_an_order_is_fragile_when_the_gaps_could_turn_it() -> None:
    generator = np.random.default_rng(0)
    noise = generator.uniform(-1, 1, size=(100, 2))
    cells = np.stack([noise, noise + 0.001, noise + 0.5])
    assert not order_is_fragile(cells).any()
    cells[0, 0, 0] = np.nan
    np.testing.assert_array_equal(order_is_fragile(cells), [True, True, False])


@pytest.mark.parametrize("prompts", [0, 1])
def test_without_two_complete_prompts_nothing_is_told_apart(prompts: int) -> None:
    x = np.arange(3.0 * prompts).reshape(prompts, 3)
    assert not_worse_than_best(x).all()
    assert tie_groups(lambda left: not_worse_than_best(x[:, left]), 3).tolist() == [1, 1, 1]
