"""The unit in which effects of different scorers can be compared."""

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.cells import prompt_means


def within_prompt_sd(cells: FloatArray) -> float:
    r"""Standard deviation of one checkpoint's values between the images of a prompt.

    $\sqrt{\sum_p \sum_k (y_{pk} - \bar y_p)^2 / \sum_p (K_p - 1)}$: how far one image of a prompt is
    from the next, free of how hard the prompts are. Where no prompt has two values (scorers of unit
    prompt), the standard deviation between prompts takes its place.

    Args:
        cells: Values, shape (prompts, images), ``NaN`` where missing.

    Returns:
        In the scorer's units; ``NaN`` with fewer than two values.
    """
    means = prompt_means(cells)
    present = ~np.isnan(cells)
    freedom = int(np.maximum(present.sum(axis=1) - 1, 0).sum())
    if freedom:
        away = np.where(present, cells - means[:, None], 0.0)
        return float(np.sqrt((away**2).sum() / freedom))
    known = means[~np.isnan(means)]
    return float(known.std(ddof=1)) if known.size > 1 else float("nan")
