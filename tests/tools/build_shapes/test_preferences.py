"""Which images of a prompt annotators are asked about."""

import numpy as np
import pytest

from tools.build_shapes.preferences import CONTENT_PAIRS, TASTE_PAIRS, agreement, pair_indices


@pytest.mark.parametrize("seed", range(20))
def test_pairs_have_a_winner_and_most_are_of_complete_scenes(seed: int) -> None:
    g = np.random.default_rng(seed)
    complete = g.random(8) < 0.6
    rewards = np.where(complete, 8 * (1 + g.integers(0, 4, 8) / 3), 8 * g.random(8)).astype(np.float32)
    pairs = pair_indices(rewards, complete)
    assert len(set(pairs)) == len(pairs) <= TASTE_PAIRS + CONTENT_PAIRS
    assert all(rewards[a] > rewards[b] and complete[a] for a, b in pairs)
    taste = [rewards[a] - rewards[b] for a, b in pairs if complete[b]]
    assert taste == sorted(taste, reverse=True)
    assert len(pairs) - len(taste) <= CONTENT_PAIRS
    if taste:
        good = rewards[complete]
        assert taste[0] == good.max() - good.min()


def test_equal_pictures_are_no_pair() -> None:
    assert pair_indices(np.full(8, 8.0, np.float32), np.ones(8, bool)) == []
    assert pair_indices(np.zeros(8, np.float32), np.zeros(8, bool)) == []


def test_agreement_is_that_of_two_independent_votes() -> None:
    p = np.array([1.0, 0.5, 0.8])
    assert agreement(p, p) == pytest.approx((1 + 0.5 + 0.8**2 + 0.2**2) / 3, abs=1e-4)
    assert agreement(p, 1 - p) == pytest.approx((0 + 0.5 + 2 * 0.8 * 0.2) / 3, abs=1e-4)
