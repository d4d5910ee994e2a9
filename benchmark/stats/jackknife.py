"""Delete-a-group jackknife for metrics of a whole set of images."""

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr, stdtrit

from benchmark.stats.arrays import LEVEL, FloatArray
from benchmark.stats.intervals import Interval

GROUPS = 20
"""Prompt groups of the jackknife: 19 degrees of freedom."""

LEAVE_OUT = "jackknife:"
"""Prefix of the ``prompt_id`` of a leave-one-group-out row of a set-level scorer."""


def prompt_groups(prompt_ids: Sequence[str], groups: int = GROUPS) -> tuple[tuple[str, ...], ...]:
    """Deal prompts into groups of equal size (give or take one).

    A function of the ids alone, so that all checkpoints of a prompt set share the groups, whatever
    the order, the shard or the resume.

    Args:
        prompt_ids: Ids without repeats.
        groups: Number of groups; fewer prompts than groups give one group a prompt.

    Returns:
        The ids of each group.
    """
    dealt = sorted(prompt_ids, key=lambda id_: hashlib.sha256(id_.encode()).digest())
    return tuple(tuple(sorted(dealt[g::groups])) for g in range(min(groups, len(dealt))))


def leave_out_id(group: int) -> str:
    """The ``prompt_id`` of the score row that leaves a group of prompts out.

    Example:
        >>> leave_out_id(7)
        'jackknife:07'
    """
    return f"{LEAVE_OUT}{group:02d}"


def jackknife_interval(value: float, leave_out: FloatArray, *, level: float = LEVEL) -> Interval:
    r"""Interval of a set metric, or of a difference of two.

    $\mathrm{se}^2 = \frac{G-1}{G} \sum_g (\hat\theta_{(g)} - \bar\theta_{(\cdot)})^2$ and
    $\hat\theta \pm t_{G-1} \, \mathrm{se}$. For a difference, give the differences.

    Args:
        value: $\hat\theta$ on all prompts.
        leave_out: $\hat\theta_{(g)}$ without group g, shape (G,).
        level: Confidence level.

    Returns:
        The interval; its ends are ``NaN`` with fewer than two groups.

    Source:
        Kott, The delete-a-group jackknife, J. Official Statistics 17 (2001), 521-526. (A bootstrap
        over prompts is wrong here: repeated images bias a Frechet distance upwards.)
    """
    groups = leave_out.size
    if groups < 2:
        nan = float("nan")
        return Interval(value, nan, nan, nan, groups)
    se = float(np.sqrt((groups - 1) * leave_out.var()))
    half = float(stdtrit(groups - 1, (1 + level) / 2)) * se
    return Interval(value, value - half, value + half, se, groups)


def t_test_p(interval: Interval) -> float:
    r"""Two-sided p value $2 T_{G-1}(-|\hat\theta| / \mathrm{se})$ of a jackknifed difference.

    Args:
        interval: A difference with its jackknife error.

    Returns:
        The p value; ``NaN`` where the error is unknown, 1 where difference and error are both 0.
    """
    if np.isnan(interval.se):
        return float("nan")
    if interval.se == 0:
        return float(interval.value == 0)
    return float(2 * stdtr(interval.n - 1, -abs(interval.value) / interval.se))
