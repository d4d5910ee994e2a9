"""Hsu's comparison with the best, and the tie groups made from it."""

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from benchmark.stats.arrays import LEVEL, RESAMPLES, BoolArray, FloatArray, IntArray
from benchmark.stats.cells import over_own_prompts
from benchmark.stats.resampling import bootstrap_t, standard_errors, upper_quantile


def not_worse_than_best(
    x: FloatArray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> BoolArray:
    r"""Which columns may be the best, at simultaneous confidence `level`; larger is better.

    The sample's best always stays; column $i$ stays unless some $j$ has
    $t_{ji} = (\bar x_j - \bar x_i) / \mathrm{se}_{ji} > q_i$, with $q_i$ the `level` quantile of
    $\max_{j \ne i} t^*_{ji}$ over resamples of prompts. The set holds the truly best column with
    probability `level`.

    Args:
        x: One row a prompt, without gaps, shape (prompts, columns); with fewer than two prompts nothing
            can be told apart, and all stay.
        level: Confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Shape (columns,), True where the column stays.

    Source:
        Hsu, Multiple Comparisons (1996), chapter 4; unequal variances: Edwards & Hsu, Multiple
        comparisons with the best treatment, JASA 78 (1983), 965-971.
    """
    count = x.shape[1]
    first, second = np.triu_indices(count, k=1)
    leads = x[:, first] - x[:, second]
    return comparison_of_leads(leads, count, level=level, resamples=resamples, seed=seed)(np.arange(count))


def comparison_of_leads(
    leads: FloatArray, count: int, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Callable[[IntArray], BoolArray]:
    """:func:`not_worse_than_best` for any of the columns, from one set of resamples of their differences.

    Args:
        leads: Differences of columns i < j, larger is better, i by i as of :func:`numpy.triu_indices`, shape
            (prompts, pairs); ``NaN`` where one of the two has no number. A pair that shares fewer than two
            prompts cannot be told apart.
        count: Number of columns.
        level: Confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        A function of column indices that says which may be the best among these.
    """
    n = leads.shape[0]
    if count == 1 or n < 2:
        return lambda left: np.ones(left.size, dtype=np.bool_)
    first, second = np.triu_indices(count, k=1)
    shared = (~np.isnan(leads)).sum(axis=0)
    lead = over_own_prompts(np.where(shared > 1, leads, 0.0))
    resampled = bootstrap_t(lead, resamples=resamples, seed=seed)
    t = _ratio(lead.mean(axis=0), standard_errors(lead))

    pair = np.zeros((count, count), dtype=np.int64)
    pair[first, second] = pair[second, first] = np.arange(first.size)

    def stays_among(left: IntArray) -> BoolArray:
        stays = np.ones(left.size, dtype=np.bool_)
        for at, i in enumerate(left):
            others = left[left != i]
            if not others.size:
                continue
            pairs, side = pair[i, others], np.where(others > i, -1.0, 1.0)
            drawn = (side * resampled[:, pairs]).max(axis=1)
            q = float(upper_quantile(drawn[:, None], level)[0])
            critical = max(q, 0.0) if np.isfinite(q) else _bonferroni(n - 1, left.size, level)
            stays[at] = (side * t[pairs]).max() <= critical
        return stays

    return stays_among


def not_worse_than_best_jackknife(
    values: FloatArray, leave_out: FloatArray, *, level: float = LEVEL
) -> BoolArray:
    r"""The same for set metrics: jackknife errors of differences, Student's t, Bonferroni.

    Args:
        values: Whole-set values, larger is better, shape (columns,).
        leave_out: Leave-one-group-out values, shape (groups, columns); with fewer than two groups
            nothing can be told apart, and all stay.
        level: Confidence level.

    Returns:
        Shape (columns,), True where the column stays.
    """
    groups, count = leave_out.shape
    if groups < 2:
        return np.ones(count, dtype=np.bool_)
    critical = _bonferroni(groups - 1, count, level)
    stays = np.ones(count, dtype=np.bool_)
    for i in range(count):
        difference = leave_out - leave_out[:, [i]]
        error = np.sqrt((groups - 1) * difference.var(axis=0))
        stays[i] = _ratio(values - values[i], error).max() <= critical
    return stays


def tie_groups(best_among: Callable[[IntArray], BoolArray], count: int) -> IntArray:
    """Number the groups: 1 may be the best, 2 may be the best of the rest, and so on.

    Only group 1 carries the simultaneous guarantee; the later ones repeat the comparison.

    Args:
        best_among: Given column indices, says which of them may be the best among these.
        count: Number of columns.

    Returns:
        Group of each column, shape (count,), from 1.
    """
    groups = np.zeros(count, dtype=np.int64)
    left = np.arange(count)
    group = 0
    while left.size:
        group += 1
        stays = best_among(left)
        groups[left[stays]] = group
        left = left[~stays]
    return groups


def _bonferroni(df: int, count: int, level: float) -> float:
    return float(stdtrit(df, 1 - (1 - level) / max(1, count - 1)))


def _ratio(difference: FloatArray, error: FloatArray) -> FloatArray:
    """Difference over error; a difference without error is infinitely sure, none is 0."""
    sure = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    ratio: FloatArray = np.divide(difference, error, out=sure, where=error > 0)
    return ratio
