"""`closed_form`: the optimum under eight divergences with its diversity, against scipy prompt by prompt."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.weighted import weighted_means, weighted_pair_means
from benchmark.workflows.frontier.halves import across, first_halves, weights_of_halves
from benchmark.workflows.frontier.optimum import default_betas
from tools.bench.measuring import Measurement

_INVERSES: Final[Mapping[str, tuple[Callable[[FloatArray], FloatArray], float]]] = {
    "reverse_kl": (np.exp, np.inf),
    "forward_kl": (lambda y: 1 / (1 - y), 1.0),
    "jensen_shannon": (lambda y: np.exp(y) / (2 - np.exp(y)), np.log(2)),
    "alpha": (lambda y: (1 - y / 2) ** -2, 2.0),
    "squared_hellinger": (lambda y: (1 - y) ** -2, 1.0),
    "pearson_chi2": (lambda y: np.maximum(1 + y / 2, 0), np.inf),
    "jeffreys": (lambda y: 1 / _wright_omega(1 - y), np.inf),
    "chi2_kl": (lambda y: _wright_omega(1 + y), np.inf),
}
"""The inverse of h by hand, and its least upper bound: what a peer's user would write."""


def measure(
    prompts: int = 200, images: int = 64, rounds: int = 3, peer_prompts: int = 2, threads: int | None = 1
) -> Measurement:
    """Weights, mean reward and mean distance of pairs for all prompts, images, divergences and 40 betas.

    Args:
        prompts: Pools.
        images: In each.
        rounds: Of which the median counts.
        peer_prompts: Those that the peer does, whose time grows with their number.
        threads: Of torch; None leaves them.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    from trainers.divergences import divergences

    generator = np.random.default_rng(0)
    rewards, other = generator.normal(size=(2, prompts, images))
    pairs = np.abs(rewards[:, :, None] - other[:, None]) + np.abs(rewards[:, None] - other[:, :, None])
    betas = default_betas(rewards)
    there = np.ones_like(rewards, dtype=bool)

    def ours(n: int = prompts) -> FloatArray:
        cuts = [
            (first, np.where(across(first, there[:n]), pairs[:n], np.nan))
            for first in first_halves(there[:n])
        ]
        found = []
        for name in _INVERSES:
            divergence, of_cuts = divergences.create(name), []
            for first, counted in cuts:
                u = weights_of_halves(rewards[:n], betas, divergence, first)
                of_cuts.append((weighted_means(u, rewards[:n]), weighted_pair_means(u, counted)))
            found.append(np.mean(of_cuts, axis=0))
        return np.array(found)

    def peer() -> FloatArray:
        def of(name: str) -> FloatArray:
            pools = range(peer_prompts)
            found = [[_by_brentq(name, rewards[p], pairs[p], beta) for p in pools] for beta in betas]
            return np.moveaxis(np.array(found), 2, 0)

        return np.array([of(name) for name in _INVERSES])

    apart = float(np.nanmax(np.abs(ours(peer_prompts) - peer())))
    seconds = [(_seconds(ours), _seconds(peer) * prompts / peer_prompts) for _ in range(rounds)]
    our_time, peer_time = (statistics.median(side) for side in zip(*seconds, strict=True))
    note = (
        f"{prompts} prompts x {images} images x {len(_INVERSES)} divergences x {len(betas)} betas, reward "
        f"and diversity, one core; results differ by {apart:.1g} at most; the peer does {peer_prompts} "
        f"prompts, with inverses written by hand; median of {rounds}"
    )
    return Measurement(
        "closed_form", our_time, peer_time, peer_time / our_time, "s", "scipy.optimize.brentq", note
    )


def _by_brentq(name: str, reward: FloatArray, pairs: FloatArray, beta: float) -> tuple[float, float]:
    """Mean reward and mean distance of one pool, over the two ways to cut it."""
    n, found = len(reward), []
    for first in (np.arange(0, n, 2), np.arange((n + 1) // 2)):
        second = np.setdiff1d(np.arange(n), first)
        u, v = (_weights_by_brentq(name, reward[half], beta) for half in (first, second))
        gained = (u @ reward[first] + v @ reward[second]) / n
        found.append((gained, u @ pairs[np.ix_(first, second)] @ v / (u.sum() * v.sum())))
    mean, apart = np.mean(found, axis=0)
    return float(mean), float(apart)


def _weights_by_brentq(name: str, reward: FloatArray, beta: float) -> FloatArray:
    from scipy.optimize import brentq

    inverse, bound = _INVERSES[name]
    below = (reward.max() - reward) / beta
    high = 1.0
    while np.isinf(bound) and inverse(high - below).mean() < 1:
        high *= 2
    high = high if np.isinf(bound) else bound * (1 - 1e-15)
    at = brentq(lambda a: float(inverse(a - below).mean()) - 1, 0.0, high, xtol=1e-15) if below.any() else 0.0
    weights: FloatArray = inverse(at - below)
    return weights


def _wright_omega(y: FloatArray) -> FloatArray:
    """W(e^y): the w with w + log w = y."""
    from scipy.special import wrightomega

    found: FloatArray = wrightomega(y)
    return found


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
