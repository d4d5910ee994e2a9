"""Claims about a method: differences over training seeds and prompts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from benchmark.stats.arrays import LEVEL, FloatArray
from benchmark.stats.intervals import Interval

SEEDS_FOR_A_CLAIM = 5
"""Training seeds below which nothing is said about a method; in `shapes` more are asked for."""

NO_CLAIM = "One checkpoint each: no claim about methods."

_PROMPTS_AT_LEAST = 2


@dataclass(frozen=True)
class Difference:
    r"""A difference with its standard error and the degrees of freedom of that.

    Attributes:
        value: Candidate minus baseline.
        se: Standard error; ``NaN`` where it cannot be known.
        df: Degrees of freedom of the error.
    """

    value: float
    se: float
    df: float

    def interval(self, level: float = LEVEL, n: int = 0) -> Interval:
        r"""$\hat\theta \pm t_\mathrm{df} \, \mathrm{se}$, with `n` noted as what is behind it."""
        half = float(stdtrit(self.df, (1 + level) / 2)) * self.se
        return Interval(self.value, self.value - half, self.value + half, self.se, n)

    @property
    def p_value(self) -> float:
        r"""Two-sided: $2 T_\mathrm{df}(-|\hat\theta| / \mathrm{se})$; 1 for no difference at all."""
        if self.se == 0:
            return float(self.value == 0)
        return float(2 * stdtr(self.df, -abs(self.value) / self.se))


UNKNOWN = Difference(float("nan"), float("nan"), float("nan"))
"""Where fewer than two prompts are left."""


def mean_over_runs(runs: FloatArray) -> Difference:
    r"""Mean over training runs and prompts, of a method's values or of its paired differences.

    The error is that of :func:`paired_runs`. Of a single run, such as a base model's, whose seed is not
    varied, it is $\mathrm{sd} / \sqrt P$, that of the prompts alone, with $P - 1$ degrees of freedom.

    Args:
        runs: Prompt means, shape (seeds, prompts); a prompt with a gap in any run is left out.

    Returns:
        The mean, its error and degrees of freedom; `UNKNOWN` with fewer than two prompts.
    """
    if runs.shape[0] > 1:
        return paired_runs(runs, np.zeros_like(runs))
    by_prompt = _complete(runs)[0]
    P = by_prompt.size
    if P < _PROMPTS_AT_LEAST:
        return UNKNOWN
    return Difference(float(by_prompt.mean()), float(by_prompt.std(ddof=1)) / math.sqrt(P), P - 1.0)


def set_mean_over_runs(values: FloatArray, leave_out: FloatArray) -> Difference:
    r"""The same for a set metric, which has one number a run.

    $V = \frac1S \mathrm{var}_s(\hat\theta_s) + \frac{G-1}{G} \sum_g (\bar\theta_{(g)} -
    \bar\theta_{(\cdot)})^2$: over the runs, and by the jackknife of their mean over groups of prompts. What
    neither explains is in both, so that the error is on the safe side. Satterthwaite's degrees of freedom.

    Args:
        values: On all prompts, shape (seeds,), or differences of such.
        leave_out: Without one group of prompts, shape (groups, seeds).

    Returns:
        The mean, its error and degrees of freedom; the error is unknown with a gap among the groups or fewer
        than two of them.

    Source:
        Kott, The delete-a-group jackknife, J. Official Statistics 17 (2001), 521-526; and as above.
    """
    S, G = values.size, leave_out.shape[0]
    if G < 2 or np.isnan(leave_out).any():
        return Difference(float(values.mean()), UNKNOWN.se, UNKNOWN.df)
    terms = [((G - 1) * float(leave_out.mean(axis=1).var()), G - 1)]
    if S > 1:
        terms.append((float(values.var(ddof=1)) / S, S - 1))
    return satterthwaite(float(values.mean()), sum(v for v, _ in terms), terms)


def paired_runs(candidate: FloatArray, baseline: FloatArray) -> Difference:
    r"""Mean difference of two methods over training seeds that both were run with.

    $d_{sp} = \mu + a_s + b_p + e_{sp}$ with training seeds and prompts crossed. $\bar d$ has the variance
    $V_s + V_p - V_e$: of the means of the seeds, $\frac1S \mathrm{var}_s(\bar d_{s\cdot})$, of the means of
    the prompts, $\frac1P \mathrm{var}_p(\bar d_{\cdot p})$, and of the rest, which both contain. The
    degrees of freedom are Satterthwaite's.

    Args:
        candidate: Prompt means, shape (seeds, prompts), at least two seeds; a prompt with a gap in any
            run of either method is left out.
        baseline: Same shape, the same training seeds row by row.

    Returns:
        The difference, its error and degrees of freedom; `UNKNOWN` with fewer than two prompts.

    Source:
        Searle, Casella & McCulloch, Variance Components (1992), section 4.7; Satterthwaite, An approximate
        distribution of estimates of variance components, Biometrics Bulletin 2 (1946), 110-114.
    """
    differences = _complete(candidate - baseline)
    if differences.shape[1] < _PROMPTS_AT_LEAST:
        return UNKNOWN
    return _assemble(differences.mean(axis=0), [_run_parts(differences)])


def independent_runs(candidate: FloatArray, baseline: FloatArray) -> Difference:
    r"""Mean difference of two methods over all of their runs, training seeds taken as independent.

    As :func:`paired_runs`, with $V_s$ and $V_e$ the sums over the two methods, whose variances need not be
    equal (Welch). Prompts and evaluation noise are paired all the same. Shared training seeds would make
    the error smaller; that is not used here, so the bounds are on the safe side.

    Args:
        candidate: Prompt means, shape (seeds, prompts), at least two seeds; gaps as there.
        baseline: Shape (other seeds, prompts).

    Returns:
        The difference, its error and degrees of freedom; `UNKNOWN` with fewer than two prompts.

    Source:
        Welch, The generalization of Student's problem, Biometrika 34 (1947), 28-35; and as above.
    """
    both = _complete(np.concatenate([candidate, baseline]))
    if both.shape[1] < _PROMPTS_AT_LEAST:
        return UNKNOWN
    candidate, baseline = both[: candidate.shape[0]], both[candidate.shape[0] :]
    by_prompt = candidate.mean(axis=0) - baseline.mean(axis=0)
    return _assemble(by_prompt, [_run_parts(candidate), _run_parts(baseline)])


@dataclass(frozen=True)
class _RunParts:
    """Variances of a mean over runs: as the runs' means show it, and what no factor explains."""

    seeds: float
    rest: float
    seeds_df: int
    rest_df: int


def _run_parts(x: FloatArray) -> _RunParts:
    S, P = x.shape
    rest = x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()
    rest_df = (S - 1) * (P - 1)
    return _RunParts(
        seeds=float(x.mean(axis=1).var(ddof=1)) / S,
        rest=float((rest**2).sum()) / rest_df / (S * P),
        seeds_df=S - 1,
        rest_df=rest_df,
    )


def _assemble(by_prompt: FloatArray, runs: list[_RunParts]) -> Difference:
    P = by_prompt.size
    prompts = float(by_prompt.var(ddof=1)) / P
    seeds, rest = sum(r.seeds for r in runs), sum(r.rest for r in runs)
    # Each of the two holds the rest once; by chance their sum less the rest may fall below either.
    variance = max(seeds + prompts - rest, seeds, prompts)
    terms = [(prompts, P - 1), *((r.seeds, r.seeds_df) for r in runs), *((r.rest, r.rest_df) for r in runs)]
    return satterthwaite(float(by_prompt.mean()), variance, terms)


def satterthwaite(value: float, variance: float, terms: Iterable[tuple[float, int]]) -> Difference:
    r"""A difference whose variance is a sum (or difference) of independent estimates.

    $\mathrm{df} = V^2 / \sum_i v_i^2 / \mathrm{df}_i$, at least 1.

    Args:
        value: The difference.
        variance: $V$.
        terms: Each $v_i$ with its degrees of freedom.
    """
    spread = sum(v * v / df for v, df in terms if v > 0)
    return Difference(value, math.sqrt(variance), max(variance**2 / spread, 1.0) if spread > 0 else math.inf)


def _complete(runs: FloatArray) -> FloatArray:
    complete: FloatArray = runs[:, ~np.isnan(runs).any(axis=0)]
    return complete
