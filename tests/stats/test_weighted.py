"""Laws of means over images that weigh unlike."""

import numpy as np
import pytest

from benchmark.stats.weighted import effective_shares, mean_of_known, weighted_means, weighted_pair_means

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(5, 6))
PAIRS = np.abs(VALUES[:, :, None] - VALUES[:, None, :])
WEIGHTS = RANDOM.gamma(1.0, size=(3, 5, 6))


def test_equal_weights_are_the_plain_means() -> None:
    equal = np.full((2, 5, 6), 1.7)
    np.testing.assert_allclose(weighted_means(equal, VALUES), np.tile(VALUES.mean(axis=1), (2, 1)))
    apart = PAIRS.sum(axis=(1, 2)) / (6 * 5)
    np.testing.assert_allclose(weighted_pair_means(equal, PAIRS), np.tile(apart, (2, 1)))
    np.testing.assert_allclose(effective_shares(equal, np.full(5, 6.0)), 1.0)


def test_whole_weights_are_copies() -> None:
    """An image of weight 2 is the image twice, but for the pair that it makes with itself."""
    weights = RANDOM.integers(0, 4, size=(5, 6)).astype(float)
    for p in range(5):
        copies = np.repeat(np.arange(6), weights[p].astype(int))
        values = VALUES[p, copies]
        np.testing.assert_allclose(weighted_means(weights, VALUES)[p], values.mean())
        other = copies[:, None] != copies[None]
        apart = np.abs(values[:, None] - values[None])[other].mean()
        np.testing.assert_allclose(weighted_pair_means(weights, PAIRS)[p], apart)


def test_what_has_no_value_is_not_in_the_mean() -> None:
    values, pairs = VALUES.copy(), PAIRS.copy()
    values[0, 2] = np.nan
    pairs[0, 2], pairs[0, :, 2] = np.nan, np.nan
    kept = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(
        weighted_means(WEIGHTS, values)[:, 0], weighted_means(WEIGHTS[:, :1, kept], VALUES[:1, kept])[:, 0]
    )
    np.testing.assert_allclose(
        weighted_pair_means(WEIGHTS, pairs)[:, 0],
        weighted_pair_means(WEIGHTS[:, :1, kept], PAIRS[:1][:, kept][:, :, kept])[:, 0],
    )
    np.testing.assert_array_equal(
        weighted_means(WEIGHTS, values)[:, 1:], weighted_means(WEIGHTS, VALUES)[:, 1:]
    )


def test_where_nothing_has_weight_there_is_no_mean() -> None:
    one = np.zeros((1, 6))
    one[0, 3] = 6.0
    assert weighted_means(one, VALUES[:1])[0] == pytest.approx(VALUES[0, 3])
    assert np.isnan(weighted_pair_means(one, PAIRS[:1])[0])
    assert effective_shares(one, np.array([6.0]))[0] == pytest.approx(1 / 6)
    assert np.isnan(weighted_means(np.zeros((1, 6)), VALUES[:1])[0])
    assert np.isnan(effective_shares(np.zeros((1, 6)), np.array([6.0]))[0])


def test_the_mean_of_what_is_known() -> None:
    both = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(mean_of_known(both), [2.0, 5.0, np.nan])
