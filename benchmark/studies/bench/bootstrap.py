"""`bootstrap`: studentised bootstrap of prompt means, against scipy's on the same statistic."""

import numpy as np

from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.resampling import bootstrap_t, upper_quantile
from benchmark.studies.bench.measuring import Measurement, compare


def measure(prompts: int = 192, columns: int = 6, resamples: int = RESAMPLES, rounds: int = 5) -> Measurement:
    """Resamples prompts, all images of a prompt together, for some checkpoints' means.

    Args:
        prompts: The units that are drawn.
        columns: Checkpoints.
        resamples: Draws.
        rounds: Of which the median counts.
    """
    from scipy.stats import bootstrap

    x = np.random.default_rng(0).normal(size=(prompts, columns)) + np.arange(columns)
    means = x.mean(axis=0)[:, None]

    def t_statistic(sample: FloatArray, axis: int) -> FloatArray:
        away = sample.mean(axis=axis, keepdims=True) - (means if sample.ndim == 2 else means[:, None])
        error = sample.std(axis=axis, ddof=1, keepdims=True) / np.sqrt(prompts)
        t: FloatArray = np.squeeze(away / error, axis=axis)
        return t

    def ours() -> FloatArray:
        return bootstrap_t(x, resamples=resamples)

    def peer() -> FloatArray:
        result = bootstrap(
            (x.T,), t_statistic, axis=-1, n_resamples=resamples, vectorized=True, method="percentile",
            rng=np.random.default_rng(0),
        )  # fmt: skip
        drawn: FloatArray = result.bootstrap_distribution.T
        return drawn

    q, q_peer = (upper_quantile(np.abs(drawn()), LEVEL) for drawn in (ours, peer))
    apart = float(np.abs(q / q_peer - 1).max())
    note = (
        f"{resamples:,} resamples of {prompts} prompts x {columns} checkpoints; "
        f"{LEVEL:.0%} quantiles of |t| differ by at most {apart:.1%}"
    )
    return compare("bootstrap", ours, {"scipy.stats.bootstrap": peer}, rounds=rounds, note=note)
