"""Two halves of a pool: laws, and that pairs across them find the known order of the divergences."""

import numpy as np
import pytest

from benchmark.stats.arrays import FloatArray
from benchmark.stats.weighted import weighted_means, weighted_pair_means
from benchmark.workflows.frontier.halves import across, first_halves, weights_of_halves
from trainers.divergences import divergences

RANDOM = np.random.default_rng(0)
BETAS = tuple(np.geomspace(5.0, 0.005, 24))
EXACT = {
    "pearson_chi2": 0.930,
    "reverse_kl": 0.926,
    "alpha(a=0.5)": 0.917,
    "jensen_shannon": 0.910,
    "forward_kl": 0.892,
}
"""Diversity left at reward 0.7 in the small exact world of docs/theory.md."""


def small_world(prompts: int, images: int) -> tuple[FloatArray, FloatArray]:
    """Rewards, and the share of three attributes in which a pair differs over that of the base."""
    values = (8, 5, 5)
    drawn = [RANDOM.integers(n, size=(prompts, images)) for n in values]
    rewards = sum(share * a / (n - 1) for share, a, n in zip((0.4, 0.3, 0.3), drawn, values, strict=True))
    differ = [(a[:, :, None] != a[:, None]) / (1 - 1 / n) for a, n in zip(drawn, values, strict=True)]
    return np.asarray(rewards), np.mean(differ, axis=0)


def test_halves_share_the_images_that_there_are() -> None:
    there = RANDOM.random((40, 9)) < 0.6
    for first in first_halves(there):
        assert not (first & ~there).any()
        n = there.sum(axis=1)
        np.testing.assert_array_equal(first.sum(axis=1), (n + 1) // 2)
        pairs = across(first, there)
        np.testing.assert_array_equal(pairs, pairs.transpose(0, 2, 1))
        np.testing.assert_array_equal(pairs.sum(axis=(1, 2)), 2 * (n // 2) * ((n + 1) // 2))
        assert not pairs[:, np.eye(9, dtype=bool)].any()


@pytest.mark.parametrize("name", divergences.names())
def test_each_half_is_weighed_as_if_it_were_the_pool(name: str) -> None:
    from torch import float64, from_numpy, tensor

    from trainers.divergences.optimum import optimal_weights

    rewards = RANDOM.normal(size=(6, 7))
    rewards[0, 2:] = np.nan
    rewards[1, :] = np.nan
    rewards[2, 1:] = np.nan
    divergence = divergences.create(name)
    for first in first_halves(~np.isnan(rewards)):
        found = weights_of_halves(rewards, BETAS, divergence, first)
        for half in (first, ~first & ~np.isnan(rewards)):
            alone = np.where(half, rewards, np.nan)
            expected = optimal_weights(from_numpy(alone), tensor(BETAS, dtype=float64), divergence).numpy()
            np.testing.assert_allclose(np.where(half, found, 0.0), expected, rtol=1e-7, atol=1e-12)
        assert (found[:, np.isnan(rewards)] == 0).all()


def test_pairs_across_halves_find_the_order_and_pairs_within_a_pool_turn_it_round() -> None:
    """With sixteen images a pool, as in the demonstration."""
    rewards, pairs = small_world(prompts=1500, images=16)
    there = np.ones_like(rewards, dtype=bool)
    first = first_halves(there)[0]
    left, within = {}, {}
    for name in EXACT:
        u = weights_of_halves(rewards, BETAS, divergences.create(name), first)
        reached = weighted_means(u, rewards).mean(axis=1)
        split = weighted_pair_means(u, np.where(across(first, there), pairs, np.nan)).mean(axis=1)
        left[name] = float(np.interp(0.7, reached, split))
        whole = weights_of_halves(rewards, BETAS, divergences.create(name), there)
        reached, kept = (weighted_means(whole, rewards), weighted_pair_means(whole, pairs))
        within[name] = float(np.interp(0.7, reached.mean(axis=1), kept.mean(axis=1)))
    found = [left[name] for name in EXACT]
    assert found == sorted(found, reverse=True)
    assert [within[name] for name in EXACT] == sorted(within.values())
    assert within["forward_kl"] - EXACT["forward_kl"] > 0.06
    # A pool of eight can only spread its weight so far: lines come out nearer to each other than they are.
    for name, exact in EXACT.items():
        assert left[name] == pytest.approx(exact, abs=0.045)
