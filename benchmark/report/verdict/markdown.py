"""The verdict as Markdown, for the summary of a CI's job."""

from collections.abc import Iterable

from benchmark.gate.decision import Finding
from benchmark.report.markdown import escape_markdown
from benchmark.report.verdict.record import GateReport
from benchmark.report.verdict.words import LEGEND, clean, headline, numbers, remarks, sides


def verdict_markdown(report: GateReport) -> str:
    """The outcome as a heading, who was compared, a table with a row a scorer, notes and signature.

    Args:
        report: What to write; every name in it is escaped, so that it shows as it is.

    Returns:
        The text.
    """
    findings = report.verdict.findings
    headings = ("scorer", "outcome", *numbers(findings[0]))
    rule = [":--", ":--", *("--:" for _ in headings[2:])]
    lines = [headings, rule, *map(_row, findings)]
    parts = [
        f"### {escape_markdown(headline(report))}",
        _listed(f"{name}: {text}" for name, text in sides(report)),
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        _listed((*remarks(report), *LEGEND)),
        f"Signature: {escape_markdown(clean(report.signature))}",
    ]
    return "\n\n".join(parts) + "\n"


def _row(finding: Finding) -> list[str]:
    outcome = finding.outcome if finding.outcome == "pass" else f"**{finding.outcome}**"
    return [escape_markdown(clean(finding.scorer)), outcome, *map(escape_markdown, numbers(finding).values())]


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape_markdown(line)}" for line in lines)
