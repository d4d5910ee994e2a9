"""`bootstrap`: studentised bootstrap of prompt means at a full evaluation's size, against scipy's."""

import itertools
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Final

import numpy as np

from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.cells import prompt_means
from benchmark.stats.resampling import bootstrap_t, upper_quantile
from tools.bench.measuring import Measurement

_IMAGES: Final = 8
_PEER_SHARE: Final = 50
"""Our resamples for one of the peer's, whose time grows with their number: the whole would take minutes."""

_BATCH_CELLS: Final = 4_000_000


def measure(
    prompts: int = 1632, columns: int = 240, resamples: int = RESAMPLES, rounds: int = 3
) -> Measurement:
    """Resamples prompts, all images of a prompt together, for the means of all scorers and checkpoints.

    Args:
        prompts: The units that are drawn; 1,632 are PartiPrompts.
        columns: Scorers times checkpoints; the default is 12 x 20.
        resamples: Draws.
        rounds: Of which the median counts.
    """
    from scipy.stats import bootstrap

    generator = np.random.default_rng(0)
    cells = generator.normal(size=(columns, prompts, _IMAGES)) + generator.normal(size=(columns, prompts, 1))
    x = prompt_means(cells).T
    means = x.mean(axis=0)[:, None]
    fewer = max(1, resamples // _PEER_SHARE)

    def t_statistic(sample: FloatArray, axis: int) -> FloatArray:
        away = sample.mean(axis=axis, keepdims=True) - (means if sample.ndim == 2 else means[:, None])
        error = sample.std(axis=axis, ddof=1, keepdims=True) / np.sqrt(prompts)
        t: FloatArray = np.squeeze(away / error, axis=axis)
        return t

    # A seed of its own each time: draws are kept, and must be in the time.
    seeds = itertools.count(1)

    def ours() -> FloatArray:
        return bootstrap_t(prompt_means(cells).T, resamples=resamples, seed=next(seeds))

    def peer() -> FloatArray:
        result = bootstrap(
            (x.T,), t_statistic, axis=-1, n_resamples=fewer, vectorized=True, method="percentile",
            batch=max(1, _BATCH_CELLS // x.size), rng=np.random.default_rng(0),
        )  # fmt: skip
        drawn: FloatArray = result.bootstrap_distribution.T
        return drawn

    q, q_peer = (upper_quantile(np.abs(t), LEVEL) for t in (bootstrap_t(x, resamples=fewer), peer()))
    apart = float(np.abs(q / q_peer - 1).max())
    gigabytes = _peak(ours)
    seconds = [(_seconds(ours), _seconds(peer) * resamples / fewer) for _ in range(rounds)]
    our_time, peer_time = (statistics.median(side) for side in zip(*seconds, strict=True))
    note = (
        f"{resamples:,} resamples of {prompts:,} prompts x {_IMAGES} images for {columns} means (scorers x "
        f"checkpoints), peak {gigabytes:.2f} GB of arrays; {LEVEL:.0%} quantiles of |t| differ by at most "
        f"{apart:.1%}; the peer is timed on {fewer:,} resamples of ready prompt means; median of {rounds}"
    )
    return Measurement(
        "bootstrap", our_time, peer_time, peer_time / our_time, "s", "scipy.stats.bootstrap", note
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak(work: Callable[[], object]) -> float:
    """Most memory of arrays at one time while it works, in GB."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e9
