"""The rule of the gate: from bounds and margins to a verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.core.errors import UserError
from benchmark.stats.one_sided import ALPHA, Bounds
from benchmark.stats.p_values import holm
from benchmark.stats.power import detectable_drop, pass_probability

Outcome = Literal["pass", "regression", "inconclusive"]

SMALL_DECLINE = "small but real decline"
UNKNOWN = "no bound: too few prompts, or more than 1 % missing"


@dataclass(frozen=True)
class Finding:
    """The gate's finding on one scorer; better = positive.

    Attributes:
        scorer: Its name.
        bounds: The difference with its one-sided bounds.
        margin: M: what a drop must not reach, in the scorer's units.
        p_value: One-sided p of a drop, Holm-adjusted over the gated scorers.
        outcome: Of this scorer alone.
        detectable: Smallest true drop that would be called a regression with 80 % probability.
        unchanged_passes: Probability that a candidate without any difference passes here.
        note: `SMALL_DECLINE`, `UNKNOWN`, or empty.
    """

    scorer: str
    bounds: Bounds
    margin: float
    p_value: float
    outcome: Outcome
    detectable: float
    unchanged_passes: float
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """The gate's answer.

    Attributes:
        outcome: Of all scorers together.
        findings: One a scorer, in the order given.
        unchanged_passes: Probability that an unchanged candidate passes on all scorers; the product, as if
            they were independent, which is a lower bound for scorers that rise and fall together.
    """

    outcome: Outcome
    findings: tuple[Finding, ...]
    unchanged_passes: float


@dataclass(frozen=True)
class GateReport:
    """A verdict and what it is about.

    Attributes:
        verdict: The gate's answer.
        kind: Two checkpoints, or two methods by their training runs.
        baseline: What was to be replaced: a checkpoint's id, or a method's name.
        candidate: What would replace it.
        suite: Prompt set and size, as in the score table.
        signature: Of the score tables compared.
        n_prompts: Prompts.
        images_per_prompt: K.
        baseline_runs: Training runs behind the baseline; 1 for a checkpoint.
        candidate_runs: The same of the candidate.
        notes: What a reader must know about this comparison.
        remedy: How to measure more, as an instruction; is told where the verdict is inconclusive.
    """

    verdict: Verdict
    kind: Literal["checkpoint", "method"]
    baseline: str
    candidate: str
    suite: str
    signature: str
    n_prompts: int
    images_per_prompt: int
    baseline_runs: int = 1
    candidate_runs: int = 1
    notes: tuple[str, ...] = ()
    remedy: str = ""


def decide(bounds: Mapping[str, Bounds], margins: Mapping[str, float]) -> Verdict:
    r"""Pass, regression or inconclusive.

    With L and U the one-sided bounds of the difference: *pass* if $L > -M$ for every scorer; *regression* if
    for some scorer a drop is significant after Holm's adjustment ($U < 0$ alone is the unadjusted test) and
    not $L > -M$; else *inconclusive*. $U < 0$ with $L > -M$ passes and is noted as a small but real decline.

    Args:
        bounds: By scorer; at least one.
        margins: M of each of them, in its units.

    Returns:
        The verdict; a scorer without bounds is inconclusive.

    Raises:
        UserError: If there is nothing to gate, or a margin is missing or not a positive number.
    """
    if not bounds:
        raise UserError("no scorer is gated", do="name at least one scorer that both evaluations have")
    for scorer in bounds:
        margin = margins.get(scorer, float("nan"))
        if not (math.isfinite(margin) and margin > 0):
            raise UserError(
                f"the margin of {scorer} is {margin}",
                allowed="a positive number",
                do=f"--margin {scorer}=VALUE",
            )
    adjusted = holm(np.array([b.p_drop for b in bounds.values()]))
    findings = tuple(
        _finding(scorer, b, margins[scorer], float(p), len(bounds))
        for (scorer, b), p in zip(bounds.items(), adjusted, strict=True)
    )
    outcomes = {finding.outcome for finding in findings}
    outcome: Outcome = (
        "regression" if "regression" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"
    )
    return Verdict(outcome, findings, math.prod(finding.unchanged_passes for finding in findings))


def _finding(scorer: str, bounds: Bounds, margin: float, p: float, family: int) -> Finding:
    outcome: Outcome = "inconclusive"
    note = UNKNOWN if math.isnan(bounds.lower) else ""
    if bounds.lower > -margin:
        outcome, note = "pass", SMALL_DECLINE if bounds.upper < 0 else ""
    elif p < ALPHA:
        outcome = "regression"
    return Finding(
        scorer=scorer,
        bounds=bounds,
        margin=margin,
        p_value=p,
        outcome=outcome,
        detectable=detectable_drop(bounds.se, bounds.df, margin, family=family, alpha=ALPHA),
        unchanged_passes=pass_probability(bounds.se, bounds.df, margin, alpha=ALPHA),
        note=note,
    )
