"""`frechet`: one Frechet distance at Inception's size, against the usual one with scipy's `sqrtm`."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmark.core.words import number_of
from tools.bench.measuring import Measurement, compare


def measure(d: int = 2048, n: int = 12_288, rounds: int = 2) -> Measurement:
    """Both sides get two means and two covariances; what ours keeps of a reference is made anew each time.

    Args:
        d: Features of an image.
        n: Images of either set: more than 5 d.
        rounds: Of which the median counts.
    """
    import torch
    from scipy.linalg import sqrtm

    from benchmark.scorers.engine.distances import Gaussian, frechet_distance

    features, references = _features(d, n, seed=0), _features(d, n, seed=1)
    images, reference = Gaussian.of(features), Gaussian.of(references)
    statistics = [
        (g.mean.numpy(), g.covariance.numpy()) for g in (images, reference)
    ]  # what published .npz files hold

    def ours() -> float:
        fresh = (Gaussian(g.mean, g.covariance, g.n) for g in (images, reference))
        return frechet_distance(*fresh)

    def peer() -> float:
        (mu, sigma), (mu_r, sigma_r) = statistics
        root = sqrtm(sigma @ sigma_r)
        apart = mu - mu_r
        return float(apart @ apart + np.trace(sigma) + np.trace(sigma_r) - 2 * np.trace(root.real))

    found = compare("frechet", ours, {"scipy.linalg.sqrtm": peer}, rounds=rounds)
    apart = abs(ours() / peer() - 1)
    again = _seconds(lambda: frechet_distance(Gaussian(images.mean, images.covariance, n), reference))
    counting = _seconds(lambda: Gaussian.of(features))
    theirs = _seconds(lambda: np.cov(features, rowvar=False))
    note = (
        f"d = {d}, both covariances given, {number_of(torch.get_num_threads(), 'thread')}; "
        f"values apart {apart:.1e} relative; {found.peer / again:.1f} x where the reference's factor is kept "
        f"({again:.3g} s); from {n:,} features, the reference's statistics known, "
        f"{(found.peer + theirs) / (again + counting):.1f} x ({again + counting:.3g} s against "
        f"{found.peer + theirs:.3g} s, covariance included); {found.note}"
    )
    return replace(found, note=note)


def _features(d: int, n: int, seed: int) -> "np.ndarray":
    """Features whose variances fall over six orders of magnitude, as those of a trained network do."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(d, d)))
    spread = np.geomspace(1, 1e-3, d)
    out: np.ndarray = (rng.normal(size=(n, d)) * spread) @ turned + 0.1 * rng.normal(size=d)
    return out


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
