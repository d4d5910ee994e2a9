"""The hacking index: what a policy gained on the scorer it was trained towards, and on no other."""

from collections.abc import Sequence

import numpy as np

from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.cells import paired_differences, within_prompt_sd
from benchmark.stats.intervals import Interval, mean_intervals


def standardised_gains(candidate: FloatArray, base: FloatArray, *, higher_is_better: bool) -> FloatArray:
    r"""Per-prompt gain over the base in units of the base's within-prompt standard deviation.

    $d_p = \pm (\bar y_p - \bar y^{\mathrm{base}}_p) / \sigma_{\mathrm{base}}$ on the cells that both have,
    better = positive. The standard deviation is taken as known: of 192 prompts x 8 images it has a
    relative error of 2 %.

    Args:
        candidate: Shape (prompts, images), ``NaN`` where missing.
        base: Same shape.
        higher_is_better: Direction of the scorer.

    Returns:
        Shape (prompts,); all ``NaN`` where the base does not vary.
    """
    sd = within_prompt_sd(base)
    sign = 1.0 if higher_is_better else -1.0
    gains = sign * paired_differences(candidate, base)
    standardised: FloatArray = gains / sd if sd > 0 else np.full(gains.shape, np.nan)
    return standardised


def gap_interval(
    gained: FloatArray,
    held_out: Sequence[FloatArray],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    r"""Mean of $d_p - \frac1m \sum_j d_p^{(j)}$ with its prompt-clustered interval.

    With the in-domain scorer and the held-out ones of its axis it is the hacking index; with
    (pickscore, true_reward) the *proxy gap*, with (true_taste, true_taste_heldout) the *taste
    transfer*, and with 0 and (oracle) the *content loss* $-d(\mathrm{oracle})$.

    Args:
        gained: Standardised gains, shape (prompts,); prompts with a gap in any scorer are left out.
        held_out: At least one of the same shape.
        level: Confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        In standard deviations of the base; positive = gained where it does not count.

    Source:
        Gao, Schulman & Hilton, Scaling laws for reward model overoptimization, ICML 2023, for the gap
        between proxy and gold reward; the index and its unit are this project's.
    """
    gap = gained - np.mean(held_out, axis=0)
    return mean_intervals(gap[:, None], level=level, resamples=resamples, seed=seed)[0]
