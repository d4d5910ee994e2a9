"""M, the margin of the gate: the drop in a scorer that a candidate must not reach."""

import math
from collections.abc import Mapping

import numpy as np

from benchmark.core.errors import UserError
from benchmark.stats.arrays import FloatArray
from benchmark.stats.cells import prompt_means, within_prompt_sd
from benchmark.stats.one_sided import t_bounds
from benchmark.stats.training_runs import paired_runs

MARGIN_SDS = 0.2
"""An effect that matters, in within-prompt standard deviations of the base."""

SET_MARGIN = 0.1
"""The same for set metrics: a share of the baseline's value."""

NO_MARGINS: Mapping[str, float] = {}


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


def fill_margin(margins: dict[str, float], scorer: str, default: float, unit: str) -> None:
    """Sets a margin that was not given, or says why it has no default."""
    if scorer in margins:
        return
    if not default > 0:
        raise UserError(
            f"{scorer} has no default margin, as {unit} is {'missing' if math.isnan(default) else 'zero'}",
            do=f"--margin {scorer}=VALUE, or gate on other scorers",
        )
    margins[scorer] = default
