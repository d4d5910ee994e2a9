"""The effects that an evaluation of this size can see."""

import numpy as np
from scipy.special import nctdtr, stdtrit


def minimum_detectable_effect(se: float, df: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    r"""Smallest true difference that a two-sided test finds with the given probability.

    $(t_{1-\alpha/2, \mathrm{df}} + t_{\mathrm{power}, \mathrm{df}}) \, \mathrm{se}$.

    Args:
        se: Standard error of the paired difference.
        df: Degrees of freedom: prompts (or jackknife groups) less one.
        alpha: Level of the test, before any adjustment for several comparisons.
        power: Probability of finding it.

    Returns:
        The effect, in the scorer's units.

    Source:
        Bloom, Minimum detectable effects, Evaluation Review 19 (1995), 547-556.
    """
    return float((stdtrit(df, 1 - alpha / 2) + stdtrit(df, power)) * se)


def detectable_drop(
    se: float, df: float, margin: float, *, family: int = 1, alpha: float = 0.05, power: float = 0.8
) -> float:
    r"""Smallest true drop that a gate of margin M calls a regression with the given probability.

    A regression needs $U < 0$, after Holm at worst at $\alpha / m$, and not $L > -M$:
    $\max\{(t_{1-\alpha/m} + t_\mathrm{power}) \mathrm{se},\; M + (t_\mathrm{power} - t_{1-\alpha})
    \mathrm{se}\}$ with `df` degrees of freedom.

    Args:
        se: Standard error of the paired difference.
        df: Its degrees of freedom.
        margin: M, in the scorer's units.
        family: m, the number of gated scorers.
        alpha: Error of each one-sided bound.
        power: Probability of calling it.

    Returns:
        The drop, in the scorer's units, positive.
    """
    reach = stdtrit(df, power)
    significant = (stdtrit(df, 1 - alpha / family) + reach) * se
    beyond = margin + (reach - stdtrit(df, 1 - alpha)) * se
    return float(max(significant, beyond))


def pass_probability(se: float, df: float, margin: float, *, alpha: float = 0.05) -> float:
    r"""Probability that a candidate without any difference passes: $P(L > -M)$.

    $1 - F_{\mathrm{df}, M/\mathrm{se}}(t_{1-\alpha})$ with $F$ the noncentral t distribution.

    Args:
        se: Standard error of the paired difference; 0 passes surely.
        df: Its degrees of freedom.
        margin: M, in the scorer's units.
        alpha: Error of the lower bound.

    Returns:
        From 0 to 1; ``NaN`` where the error is unknown.

    Source:
        Julious, Sample sizes for clinical trials with normal data, Stat. Med. 23 (2004), 1921-1986
        (non-inferiority).
    """
    if np.isnan(se):
        return float("nan")
    # Beyond 30 standard errors the distribution function is out of range, and the answer known.
    if se == 0 or margin / se > 30:
        return 1.0
    return float(1 - nctdtr(df, margin / se, stdtrit(df, 1 - alpha)))
