"""Laws of p values: sign flips, Holm, win rates, detectable effects."""

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.p_values import flips_needed, holm, sign_flip_p
from benchmark.stats.power import minimum_detectable_effect
from benchmark.stats.win_rate import win_rate


def test_sign_flip_agrees_with_scipy() -> None:
    d = np.random.default_rng(0).normal(0.25, 1.0, size=(60, 1))
    ours = sign_flip_p(d, flips=20_000, seed=1)[0]
    theirs = stats.permutation_test(
        (d[:, 0],), np.mean, permutation_type="samples", n_resamples=20_000, vectorized=True, rng=2
    ).pvalue
    assert ours == pytest.approx(theirs, abs=0.012)


def test_sign_flip_agrees_with_the_exact_test() -> None:
    d = np.array([[1.2], [0.4], [-0.3], [2.0], [0.9], [1.1], [-0.1], [0.7]])
    exact = stats.permutation_test(
        (d[:, 0],), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    ).pvalue
    assert sign_flip_p(d, flips=40_000)[0] == pytest.approx(exact, abs=0.005)


def test_sign_flip_is_valid_under_the_null() -> None:
    d = np.random.default_rng(3).standard_t(3, size=(40, 1000))
    p = sign_flip_p(d, flips=999)
    assert np.mean(p <= 0.05) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 1000)
    assert np.mean(p) == pytest.approx(0.5, abs=0.03)


def test_sign_flip_edges() -> None:
    d = np.column_stack([np.zeros(9), np.full(9, np.nan), np.full(9, 1.0)])
    p = sign_flip_p(d, flips=99)
    assert p[0] == 1.0
    assert np.isnan(p[1])
    assert 0 < p[2] <= 0.05
    np.testing.assert_array_equal(sign_flip_p(-d, flips=99), p)


def test_a_gap_takes_no_part_in_the_test() -> None:
    d = np.random.default_rng(0).normal(0.3, 1, size=(20, 1))
    with_gap = np.vstack([d, [[np.nan]]])
    assert sign_flip_p(with_gap, flips=20_000)[0] == pytest.approx(sign_flip_p(d, flips=20_000)[0], abs=0.01)


def test_flips_grow_with_the_family() -> None:
    assert flips_needed(4) == 10_000
    assert flips_needed(100) == 40_000


def test_holm_equals_the_published_example_and_statsmodels() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).uniform(size=30) ** 3
    np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1])


def test_holm_counts_only_comparisons_made() -> None:
    np.testing.assert_allclose(holm(np.array([np.nan, 0.02, 0.5])), [np.nan, 0.04, 0.5])
    assert holm(np.array([])).size == 0


def test_win_rate_counts_ties_half_and_knows_the_direction() -> None:
    a = np.array([[1.0, 2.0], [3.0, np.nan]])
    b = np.array([[0.0, 2.0], [5.0, 1.0]])
    assert win_rate(a, b, higher_is_better=True) == pytest.approx(0.5)
    a[0, 0] = np.nan
    assert win_rate(a, b, higher_is_better=True) == pytest.approx(0.25)
    assert win_rate(a, b, higher_is_better=False) == pytest.approx(0.75)
    assert win_rate(a, b, higher_is_better=False) + win_rate(b, a, higher_is_better=False) == pytest.approx(
        1.0
    )
    assert np.isnan(win_rate(a, np.full((2, 2), np.nan), higher_is_better=True))


def test_the_detectable_effect_is_found_four_times_in_five() -> None:
    n = 64
    effect = minimum_detectable_effect(1 / np.sqrt(n), n - 1)
    d = np.random.default_rng(0).normal(effect, 1.0, size=(n, 2000))
    found = stats.ttest_1samp(d, 0.0).pvalue < 0.05
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
