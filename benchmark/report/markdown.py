"""Leaderboards and verdicts as Markdown (tables as on GitHub)."""

import re
from collections.abc import Iterable

from benchmark.core.records import Leaderboard, LeaderboardRow
from benchmark.gate import Finding, GateReport
from benchmark.report.numbers import SIGNIFICANT, better_or_worse, fixed, half_width
from benchmark.report.panels import (
    Panel,
    PanelColumn,
    in_domain_note,
    panels,
    prompts_beside,
    remarks,
)
from benchmark.report.sections import Section, sections, signature_of
from benchmark.report.titles import headed
from benchmark.report.verdict_texts import (
    LEGEND,
    clean,
    compared_rows,
    finding_numbers,
    headline,
    verdict_remarks,
)

_ROOM, _LEAST = 108, 18
_MARKS = {1: " ▲", 0: "", -1: " ▼"}


def markdown_text(leaderboard: Leaderboard) -> str:
    """One table for each panel of scorers, the notes, and the signature.

    Args:
        leaderboard: What to write.

    Returns:
        The text of ``leaderboard.md``.
    """
    tables = [_table(leaderboard, panel) for panel in panels(leaderboard, room=_ROOM, least=_LEAST)]
    legend = (
        f"▲ better, ▼ worse than {_code(leaderboard.reference)} (Holm-adjusted p < {SIGNIFICANT}); "
        "**bold**: may be the best."
    )
    notes = (in_domain_note(leaderboard, "†"), *leaderboard.notes, *remarks(leaderboard))
    listed = "\n".join(f"- {note}" for note in (legend, *map(escape_markdown, notes)) if note)
    heading = f"### {escape_markdown(leaderboard.suite)}"
    blocks = [heading, *tables, listed, *map(_section, sections(leaderboard))]
    return "\n\n".join([*blocks, f"Signature: {_code(signature_of(leaderboard))}"]) + "\n"


def verdict_markdown(report: GateReport) -> str:
    """The outcome as a heading, who was compared, a table with a row a scorer, notes and signature.

    Args:
        report: What to write; every name in it is escaped, so that it shows as it is.

    Returns:
        The text.
    """
    findings = report.verdict.findings
    headings = ("scorer", "outcome", *finding_numbers(findings[0]))
    rule = [":--", ":--", *("--:" for _ in headings[2:])]
    lines = [headings, rule, *map(_finding, findings)]
    parts = [
        f"### {escape_markdown(headline(report))}",
        _listed(f"{name}: {text}" for name, text in compared_rows(report)),
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        _listed((*verdict_remarks(report), *LEGEND)),
        f"Signature: {escape_markdown(clean(report.signature))}",
    ]
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    r"""Text that shows as it is, inside a table cell too.

    Example:
        >>> escape_markdown("a|b*c_d\ne")
        'a\\|b\\*c\\_d e'
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~!&$])", r"\\\1", " ".join(text.split()))


def _table(leaderboard: Leaderboard, panel: Panel) -> str:
    names = [_heading(column) for column in panel.columns]
    lines = [["checkpoint", *names], [":--", *("--:" for _ in names)]]
    for row in leaderboard.rows:
        lines.append([escape_markdown(row.checkpoint.id) + ("" if row.ranked else " (not ranked)")])
        lines[-1] += [
            _cell(row, column, prompts_beside(leaderboard, column.cell(row))) for column in panel.columns
        ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _heading(column: PanelColumn) -> str:
    return escape_markdown(headed(column.facts))


def _cell(row: LeaderboardRow, column: PanelColumn, n: int | None) -> str:
    cell, places = column.cell(row), column.decimals
    if cell.mean is None:
        return "–"
    mean = fixed(cell.mean, places)
    width = half_width(cell)
    interval = "" if width is None else f" ±{width:.{places}f}"
    dagger = "†" if row.checkpoint.id in column.facts.in_domain else ""
    mark = _MARKS[better_or_worse(cell, higher_is_better=column.facts.higher_is_better)]
    beside = "" if n is None else f" (n={n})"
    return (f"**{mean}**" if cell.group == 1 else mean) + interval + beside + dagger + mark


def _section(section: Section) -> str:
    lines = [section.header, (":--", *("--:" for _ in section.header[1:])), *section.rows]
    escaped = [line if i == 1 else tuple(map(escape_markdown, line)) for i, line in enumerate(lines)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in escaped)
    notes = "\n".join(f"- {escape_markdown(note)}" for note in section.notes)
    return "\n\n".join(part for part in (f"#### {escape_markdown(section.title)}", table, notes) if part)


def _code(text: str) -> str:
    """A code span: within backticks nothing needs escaping but backticks."""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}{text}{fence}"


def _finding(finding: Finding) -> list[str]:
    outcome = finding.outcome if finding.outcome == "pass" else f"**{finding.outcome}**"
    numbers = map(escape_markdown, finding_numbers(finding).values())
    return [escape_markdown(clean(finding.scorer)), outcome, *numbers]


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape_markdown(line)}" for line in lines)
