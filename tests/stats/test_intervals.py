"""Laws of means and their intervals."""

import numpy as np
import pytest
from scipy import stats

from benchmark.stats import resampling
from benchmark.stats.cells import paired_differences, prompt_means
from benchmark.stats.intervals import mean_intervals
from benchmark.stats.resampling import bootstrap_t, resample_counts, upper_quantile


def test_prompt_means_leave_gaps_out_and_keep_empty_prompts_as_gaps() -> None:
    cells = np.array([[1.0, 3.0], [5.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(prompt_means(cells), [2.0, 5.0, np.nan])


def test_paired_differences_use_only_cells_that_both_have() -> None:
    candidate = np.array([[1.0, 100.0], [5.0, 7.0]])
    reference = np.array([[0.0, np.nan], [4.0, 4.0]])
    np.testing.assert_array_equal(paired_differences(candidate, reference), [1.0, 2.0])


def test_resample_counts_sum_to_n_and_do_not_depend_on_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = np.concatenate(list(resample_counts(7, 101, seed=3)))
    assert whole.shape == (101, 7)
    np.testing.assert_array_equal(whole.sum(axis=1), 7)
    monkeypatch.setattr("benchmark.stats.resampling._BLOCK_CELLS", 70)
    resampling._drawn.cache_clear()
    np.testing.assert_array_equal(np.concatenate(list(resample_counts(7, 101, seed=3))), whole)


def test_bootstrap_t_equals_the_loop_it_replaces() -> None:
    x = np.random.default_rng(0).gamma(2.0, size=(12, 3))
    fast = bootstrap_t(x, resamples=50, seed=1)
    counts = np.concatenate(list(resample_counts(12, 50, seed=1)))
    for row, count in zip(fast, counts, strict=True):
        drawn = np.repeat(x, count.astype(int), axis=0)
        slow = (drawn.mean(axis=0) - x.mean(axis=0)) / stats.sem(drawn, axis=0)
        np.testing.assert_allclose(row, slow, rtol=1e-9)


@pytest.mark.parametrize("resamples", [19, 20, 99, 100, 1000])
def test_one_more_statistic_is_above_the_quantile_as_often_as_said(resamples: int) -> None:
    """Of B + 1 numbers in any order, each is as likely to be the observed one: at most 5 % are above."""
    t = np.arange(resamples + 1.0)
    others = np.stack([np.delete(t, i) for i in range(resamples + 1)], axis=1)
    above = (t > upper_quantile(others, 0.95)).sum()
    assert above == np.floor(0.05 * (resamples + 1) + 1e-9)
    assert upper_quantile(t[:5, None], 0.95) == [4.0]


def test_interval_is_students_on_normal_data() -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(60, 1))
    (interval,) = mean_intervals(x)
    low, high = stats.t.interval(0.95, 59, loc=x.mean(), scale=stats.sem(x[:, 0]))
    assert interval.value == pytest.approx(x.mean())
    assert interval.se == pytest.approx(stats.sem(x[:, 0]))
    assert (interval.lo, interval.hi) == pytest.approx((low, high), abs=0.05)
    assert interval.hi - interval.value == pytest.approx(interval.value - interval.lo)


def test_interval_agrees_with_scipys_bootstrap_of_the_same_statistic() -> None:
    x = np.random.default_rng(0).gamma(2.0, size=(40, 1))
    centre = x.mean()

    def absolute_t(sample: np.ndarray, axis: int) -> np.ndarray:
        t: np.ndarray = np.abs(sample.mean(axis=axis) - centre) / stats.sem(sample, axis=axis)
        return t

    theirs = stats.bootstrap((x[:, 0],), absolute_t, n_resamples=10_000, method="percentile", rng=1)
    q = np.quantile(theirs.bootstrap_distribution, 0.95)
    (interval,) = mean_intervals(x)
    assert (interval.hi - centre) / interval.se == pytest.approx(q, rel=0.03)


def test_shift_scale_and_order_of_prompts_change_nothing_but_units() -> None:
    x = np.random.default_rng(0).exponential(size=(40, 1))
    (plain,) = mean_intervals(x, resamples=2000)
    (moved,) = mean_intervals(-5.0 * x + 1e4, resamples=2000)
    assert moved.hi - moved.lo == pytest.approx(5.0 * (plain.hi - plain.lo))
    assert moved.value == pytest.approx(-5.0 * plain.value + 1e4)


def test_columns_do_not_influence_each_other() -> None:
    x = np.random.default_rng(0).normal(size=(30, 4))
    x[3, 1] = np.nan
    together = mean_intervals(x, resamples=500, seed=2)
    for column in range(4):
        (alone,) = mean_intervals(x[:, [column]], resamples=500, seed=2)
        got = together[column]
        assert (got.value, got.lo, got.hi) == pytest.approx((alone.value, alone.lo, alone.hi))
    assert together[1].n == 29


def test_coverage_of_the_mean_on_skewed_clustered_data() -> None:
    """95 % intervals cover about 95 %: prompts differ, images of a prompt move together."""
    generator = np.random.default_rng(7)
    runs, prompts, images = 400, 48, 4
    level = generator.gamma(2.0, 1.0, size=(prompts, 1, runs))
    cells = level + generator.normal(0.0, 0.5, size=(prompts, images, runs))
    intervals = mean_intervals(cells.mean(axis=1), resamples=1000)
    covered = np.mean([i.lo <= 2.0 <= i.hi for i in intervals])
    assert 0.925 <= covered <= 0.98


def test_ignoring_the_clusters_would_undercover() -> None:
    """The reason for the prompt as the unit: the same data, images taken as independent."""
    generator = np.random.default_rng(7)
    runs, prompts, images = 200, 48, 8
    cells = generator.normal(size=(prompts, 1, runs)) + 0.3 * generator.normal(size=(prompts, images, runs))
    intervals = mean_intervals(cells.reshape(prompts * images, runs), resamples=500)
    assert np.mean([i.lo <= 0.0 <= i.hi for i in intervals]) < 0.7


def test_constant_data_have_a_point_interval() -> None:
    (interval,) = mean_intervals(np.full((10, 1), 0.1))
    assert (interval.value, interval.lo, interval.hi) == pytest.approx((0.1, 0.1, 0.1))
    assert interval.se == 0.0


def test_nearly_constant_data_fall_back_to_student() -> None:
    x = np.ones((50, 1))
    x[0] = 0.0
    (interval,) = mean_intervals(x)
    half = stats.t.ppf(0.975, 49) * stats.sem(x[:, 0])
    assert interval.hi - interval.value == pytest.approx(half)


def test_two_prompts_have_students_interval() -> None:
    """Every other resample of two is one prompt twice, so the bootstrap says nothing."""
    (interval,) = mean_intervals(np.array([[1.0], [2.0]]))
    assert interval.hi - interval.value == pytest.approx(stats.t.ppf(0.975, 1) * 0.5)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_prompts_have_no_interval(n: int) -> None:
    (interval,) = mean_intervals(np.full((n, 1), 2.0))
    assert np.isnan(interval.lo)
    assert np.isnan(interval.hi)
    assert np.isnan(interval.value) == (n == 0)
