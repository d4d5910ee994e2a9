"""The Pareto front of two axes, and how sure it is."""

import numpy as np
from scipy.special import stdtrit

from benchmark.stats.arrays import LEVEL, RESAMPLES, BoolArray, FloatArray
from benchmark.stats.resampling import bootstrap_t, resample_counts, standard_errors, upper_quantile


def on_front(points: FloatArray) -> BoolArray:
    r"""Which points no other point dominates; larger is better on both axes.

    $j$ dominates $i$ if it is at least as good on both axes and better on one. Equal points dominate
    neither each other.

    Args:
        points: Shape (..., points, 2).

    Returns:
        Shape (..., points).

    Example:
        >>> on_front(np.array([[0.0, 2.0], [1.0, 1.0], [0.0, 1.0]])).tolist()
        [True, True, False]
    """
    first, second = points[..., 0], points[..., 1]
    # By axis and not `all(axis=-1)`: ten times as fast on many resamples.
    at_least = (first[..., None, :] >= first[..., :, None]) & (second[..., None, :] >= second[..., :, None])
    better = (first[..., None, :] > first[..., :, None]) | (second[..., None, :] > second[..., :, None])
    dominated: BoolArray = np.any(at_least & better, axis=-1)
    return ~dominated


def front_set(x: FloatArray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0) -> BoolArray:
    r"""A set of checkpoints that holds the whole true front with probability `level`.

    $i$ stays unless some $j$ is better on both axes at once: $\min_a t_{ji,a} > q$ with
    $t_{ji,a} = (\bar x_{ja} - \bar x_{ia}) / \mathrm{se}_{ji,a}$ and $q$ the `level` quantile of
    $\max_{i \ne j, a} t^*_{ji,a}$ over resamples of prompts. A true member of the front is at least as
    good as any $j$ on some axis, so that throwing it out needs one $t - t_{\mathrm{true}}$ above $q$.

    Args:
        x: One row a prompt, without gaps, shape (prompts, checkpoints, 2); with fewer than two prompts
            nothing can be told apart, and all stay.
        level: Simultaneous confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Shape (checkpoints,), True where the checkpoint may be on the front.

    Source:
        Romano & Wolf, Exact and approximate stepdown methods for multiple hypothesis testing, JASA 100
        (2005), 94-108, for the max-t; the argument above for the front.
    """
    n, count, axes = x.shape
    stays = np.ones(count, dtype=np.bool_)
    if count == 1 or n < 2:
        return stays
    i, j = np.triu_indices(count, k=1)
    lead = (x[:, i] - x[:, j]).reshape(n, -1)
    drawn = np.abs(bootstrap_t(lead, resamples=resamples, seed=seed)).max(axis=1)
    q = float(upper_quantile(drawn[:, None], level)[0])
    if not np.isfinite(q):
        q = float(stdtrit(n - 1, 1 - (1 - level) / (2 * lead.shape[1])))
    sure = (np.abs(lead.mean(axis=0)) > q * standard_errors(lead)).reshape(-1, axes).all(axis=1)
    ahead = np.sign(lead.mean(axis=0)).reshape(-1, axes).sum(axis=1)
    stays[j[sure & (ahead == axes)]] = False
    stays[i[sure & (ahead == -axes)]] = False
    return stays


def front_support(x: FloatArray, *, resamples: int = RESAMPLES, seed: int = 0) -> FloatArray:
    r"""Share of resamples in which a checkpoint is on the front: its `support`.

    Not a probability of being on the front: two equal checkpoints on it share their support.

    Args:
        x: One row a prompt, without gaps, shape (prompts, checkpoints, 2).
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Shape (checkpoints,), from 0 to 1.

    Source:
        Felsenstein, Confidence limits on phylogenies, Evolution 39 (1985), 783-791, for the reading.
    """
    n, count, axes = x.shape
    hits = np.zeros(count)
    for counts in resample_counts(n, resamples, seed):
        means = (counts @ x.reshape(n, -1) / n).reshape(-1, count, axes)
        for part in np.array_split(means, max(1, means.shape[0] // 1000)):
            hits += on_front(part).sum(axis=0)
    support: FloatArray = hits / resamples
    return support
