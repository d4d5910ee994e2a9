"""From scores to the differences that the gate judges."""

from collections.abc import Sequence

import numpy as np

from benchmark.core.errors import UserError
from benchmark.stats.arrays import RESAMPLES, FloatArray
from benchmark.stats.cells import paired_differences, prompt_means
from benchmark.stats.jackknife import jackknife_interval
from benchmark.stats.methods import SEEDS_FOR_A_CLAIM, Difference, independent_runs, paired_runs
from benchmark.stats.one_sided import ALPHA, Bounds, prompt_bounds, t_bounds
from benchmark.stats.spread import within_prompt_sd

MARGIN_SDS = 0.2
"""An effect that matters, in within-prompt standard deviations of the base."""

SET_MARGIN = 0.1
"""The same for set metrics: a share of the baseline's value."""

CANDIDATE_RUNS = 3
BASELINE_RUNS = 8
"""Training runs below which nothing is said about a method."""


def default_margin(base: FloatArray) -> float:
    """M of a scorer of unit image or prompt: 0.2 of the base's within-prompt standard deviation.

    Args:
        base: The base model's values, shape (prompts, images); of a scorer of unit prompt, (prompts, 1),
            whose standard deviation is that between prompts.

    Returns:
        In the scorer's units.
    """
    return MARGIN_SDS * within_prompt_sd(base)


def method_margin(base: FloatArray, runs: FloatArray, *, higher_is_better: bool) -> float:
    r"""M of what a method is trained for: no more than it gained.

    $M = \min(M_0, \bar g)$ with $M_0$ of :func:`default_margin` and $\bar g$ the mean gain of the baseline's
    runs over the base model. With a wider margin a candidate that learns nothing would pass. Where a gain
    has not been shown (its one-sided 95 % bound is not above 0), $M_0$.

    Args:
        base: The base model's values, shape (prompts, images).
        runs: The baseline's, shape (runs, prompts, images), at least two runs.
        higher_is_better: Direction of the scorer.

    Returns:
        In the scorer's units.
    """
    usual = default_margin(base)
    sign = 1.0 if higher_is_better else -1.0
    before = np.broadcast_to(prompt_means(base), runs.shape[:2])
    gain = paired_runs(sign * prompt_means(runs), sign * before)
    return min(usual, gain.value) if t_bounds(gain).lower > 0 else usual


def checkpoint_evidence(
    candidate: FloatArray,
    baseline: FloatArray,
    *,
    higher_is_better: bool,
    alpha: float = ALPHA,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bounds:
    """Two checkpoints on one scorer of unit image or prompt, paired cell by cell.

    Args:
        candidate: Shape (prompts, images), ``NaN`` where missing.
        baseline: Same shape.
        higher_is_better: Direction of the scorer.
        alpha: Error of each bound.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Bounds over prompts, better = positive.
    """
    sign = 1.0 if higher_is_better else -1.0
    differences = sign * paired_differences(candidate, baseline)
    return prompt_bounds(differences, alpha=alpha, resamples=resamples, seed=seed)


def set_evidence(
    value: float, leave_out: FloatArray, *, higher_is_better: bool, alpha: float = ALPHA
) -> Bounds:
    """Two checkpoints on one scorer of unit set, by the jackknife over groups of prompts.

    Args:
        value: Candidate's value less the baseline's.
        leave_out: The same without each group, shape (groups,).
        higher_is_better: Direction of the scorer.
        alpha: Error of each bound.

    Returns:
        Bounds with groups - 1 degrees of freedom, better = positive.
    """
    sign = 1.0 if higher_is_better else -1.0
    interval = jackknife_interval(sign * value, sign * leave_out)
    return t_bounds(Difference(interval.value, interval.se, max(interval.n - 1.0, 1.0)), alpha=alpha)


def run_evidence(
    candidate: FloatArray,
    baseline: FloatArray,
    candidate_seeds: Sequence[int],
    baseline_seeds: Sequence[int],
    *,
    higher_is_better: bool,
    alpha: float = ALPHA,
) -> Bounds:
    """Two methods on one scorer: training runs against training runs, on the same prompts and noise.

    With at least five training seeds in common the runs are paired by them. With fewer, all runs of both
    count as independent: three pairs leave two degrees of freedom, which costs more than pairing gains.
    Prompts and evaluation noise are paired either way, and training-seed variance is in the bounds.

    Args:
        candidate: Shape (runs, prompts, images), ``NaN`` where missing.
        baseline: Shape (other runs, prompts, images).
        candidate_seeds: Training seed of each candidate run.
        baseline_seeds: Training seed of each baseline run.
        higher_is_better: Direction of the scorer.
        alpha: Error of each bound.

    Returns:
        Bounds over runs and prompts, better = positive.

    Raises:
        UserError: With fewer than 3 candidate or 8 baseline runs, or two runs of one method and seed.
    """
    _check_runs("candidate", candidate_seeds, CANDIDATE_RUNS)
    _check_runs("baseline", baseline_seeds, BASELINE_RUNS)
    sign = 1.0 if higher_is_better else -1.0
    ours, theirs = prompt_means(sign * candidate), prompt_means(sign * baseline)
    shared = [seed for seed in candidate_seeds if seed in baseline_seeds]
    if len(shared) < SEEDS_FOR_A_CLAIM:
        return t_bounds(independent_runs(ours, theirs), alpha=alpha)
    left = [list(candidate_seeds).index(seed) for seed in shared]
    right = [list(baseline_seeds).index(seed) for seed in shared]
    return t_bounds(paired_runs(ours[left], theirs[right]), alpha=alpha)


def _check_runs(which: str, seeds: Sequence[int], least: int) -> None:
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if list(seeds).count(seed) > 1)
        raise UserError(f"two {which} runs have training seed {twice}", do="leave one of them out")
    if len(seeds) < least:
        raise UserError(
            f"{len(seeds)} {which} runs", allowed=f"at least {least}", do="train it with more --seed values"
        )
