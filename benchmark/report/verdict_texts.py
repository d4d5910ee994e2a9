"""The sentences and numbers of a verdict, the same in every format."""

import math
from collections.abc import Sequence

from scipy.special import ndtri

from benchmark.gate.decision import SMALL_DECLINE, Finding, GateReport
from benchmark.stats.one_sided import ALPHA

POWER = 0.8
"""Probability with which an evaluation should let an unchanged candidate pass."""

_BOUNDS = (
    "Better is positive. L and U: one-sided 95 % bounds of the difference; M: the margin; p: of a drop, "
    "adjusted by Holm. Pass: L > -M. Regression: a significant drop, and not L > -M."
)
_POWER = (
    "Min. drop: the smallest that would be called a regression four times in five. Unchanged passes: how "
    "often a candidate without any difference does."
)
LEGEND = (_BOUNDS, _POWER)

_ROOM = 40
"""Letters that names of scorers may take in the headline, which is one line of a terminal."""


def clean(text: str) -> str:
    r"""Text on one line; signs that move a cursor, turn the direction or are no XML become a replacement.

    Example:
        >>> clean("a\nb\x1b[2J")
        'a b�[2J'
    """
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))


def headline(report: GateReport) -> str:
    """The outcome in one line."""
    findings = report.verdict.findings
    if report.verdict.outcome == "regression":
        worse = [f.scorer for f in findings if f.outcome == "regression"]
        return f"REGRESSION: worse than the baseline on {_names(worse, len(findings))}"
    if report.verdict.outcome == "inconclusive":
        doubtful = [f.scorer for f in findings if f.outcome == "inconclusive"]
        return f"INCONCLUSIVE: neither pass nor regression on {_names(doubtful, len(findings))}"
    declined = [f.scorer for f in findings if f.note == SMALL_DECLINE]
    if declined:
        return f"PASS, with a {SMALL_DECLINE} on {_names(declined, len(findings))}"
    return f"PASS: no drop as large as its margin on {_names([f.scorer for f in findings], len(findings))}"


def compared_rows(report: GateReport) -> tuple[tuple[str, str], ...]:
    """Who was compared on what: rows of a name and its text."""
    return (
        ("candidate", _side(report.candidate, report.candidate_runs, report)),
        ("baseline", _side(report.baseline, report.baseline_runs, report)),
        ("measured on", clean(report.suite)),
    )


def percent(share: float) -> str:
    """A probability for a table; never 100 % of what is not sure.

    Example:
        >>> percent(0.934), percent(0.9999), percent(float("nan"))
        ('93 %', '> 99 %', '–')
    """
    if math.isnan(share):
        return "–"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def p_value(p: float) -> str:
    """A p value for a table.

    Example:
        >>> p_value(0.0312), p_value(0.00002)
        ('0.031', '<0.001')
    """
    return "–" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def finding_numbers(finding: Finding) -> dict[str, str]:
    """Difference, L, U, M and the smallest detectable drop, to two digits of what the bounds can carry.

    Returns:
        By the heading of the column.
    """
    bounds = finding.bounds
    return {
        "difference": _number(bounds.value, finding, "+"),
        "L": _number(bounds.lower, finding, "+"),
        "U": _number(bounds.upper, finding, "+"),
        "M": _number(finding.margin, finding),
        "p": p_value(finding.p_value),
        "min. drop": _number(finding.detectable, finding),
        "unchanged passes": percent(finding.unchanged_passes),
    }


def verdict_remarks(report: GateReport) -> tuple[str, ...]:
    """Remarks under the table: power, notes, and what to do next."""
    passes = report.verdict.unchanged_passes
    known = () if math.isnan(passes) else (math.floor(100 * passes) / 100,)
    return (
        *(f"{clean(f.scorer)}: {f.note}." for f in report.verdict.findings if f.note),
        *(f"Probability that an unchanged candidate passes on all of them: at least {p:.2f}." for p in known),
        *map(clean, report.notes),
        *advice(report),
    )


def advice(report: GateReport) -> tuple[str, ...]:
    """Advice on what to do next; none unless the verdict is inconclusive."""
    if report.verdict.outcome != "inconclusive":
        return ()
    doubtful = [finding for finding in report.verdict.findings if finding.outcome == "inconclusive"]
    unknown = [f.scorer for f in doubtful if math.isnan(f.bounds.se)]
    lines = []
    if unknown:
        lines.append(
            f"No bound for {_names(unknown, len(report.verdict.findings))}: what made the scores fills the "
            "gaps when it runs again, or gate on fewer scorers."
        )
    if len(unknown) < len(doubtful):
        lines.append(f"{_more(report)} {clean(report.remedy)}".rstrip())
    return tuple(lines)


def _more(report: GateReport) -> str:
    """Whether a larger evaluation would help, and how large it should be."""
    known = [finding for finding in report.verdict.findings if not math.isnan(finding.bounds.se)]
    passes = math.prod(finding.unchanged_passes for finding in known)
    if passes >= POWER:
        return (
            f"An unchanged candidate passes with probability {passes:.2f}, so this one has probably declined "
            "by something near the margin. More data can tell."
        )
    smaller = _times_smaller(known)
    size = (
        f"about {smaller**2:.1f} times as many prompts"
        if report.kind == "checkpoint"
        else f"a standard error {smaller:.1f} times smaller, so with several times as many training runs"
    )
    return (
        f"Too little data: an unchanged candidate passes with probability {passes:.2f}. It would be "
        f"{POWER} with {size}."
    )


def _times_smaller(findings: Sequence[Finding]) -> float:
    r"""By how much errors must shrink until an unchanged candidate passes all scorers with `POWER`.

    $\max \mathrm{se} (z_{1-\alpha} + z_{\beta}) / M$ with $\beta$ the m-th root of `POWER`.
    """
    reach = float(ndtri(1 - ALPHA) + ndtri(POWER ** (1 / len(findings))))
    return max(finding.bounds.se * reach / finding.margin for finding in findings)


def _side(name: str, runs: int, report: GateReport) -> str:
    return clean(name) if report.kind == "checkpoint" else f"{clean(name)}, {runs} training runs"


def _number(value: float, finding: Finding, sign: str = "") -> str:
    if math.isnan(value):
        return "–"
    half = (finding.bounds.upper - finding.bounds.lower) / 2
    places = max(1 - math.floor(math.log10(scale)) for scale in (finding.margin, half) if scale > 0)
    return f"{value:{sign}.{max(places, 0)}f}" if places < 6 else f"{value:{sign}.1e}"


def _names(scorers: Sequence[str], total: int) -> str:
    named = " and ".join(", ".join(map(clean, scorers)).rsplit(", ", 1))
    if len(named) <= _ROOM:
        return named
    return f"{len(scorers)} of {total} scorers" if len(scorers) < total else f"all {total} scorers"
