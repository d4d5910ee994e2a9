"""What an evaluation of this size can see."""

from scipy.special import stdtrit


def minimum_detectable_effect(se: float, df: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
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
