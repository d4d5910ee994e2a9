"""Leaderboards and verdicts on a terminal."""

import re

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from benchmark.core.records import Leaderboard, LeaderboardRow
from benchmark.gate import GateReport, Outcome
from benchmark.report.numbers import SIGNIFICANT, better_or_worse, half_width
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

_CELL_WIDTH = 16
_NAME_WIDTH = 34
_MARKS = {1: (" ▲", "green"), 0: ("  ", ""), -1: (" ▼", "red")}
_COLOURS: dict[Outcome, str] = {"pass": "green", "regression": "red", "inconclusive": "yellow"}
_LEAST_NAME = 14
_LEFT: JustifyMethod = "left"
_RIGHT: JustifyMethod = "right"


def print_leaderboard(leaderboard: Leaderboard, console: Console) -> None:
    """Prints as many scorers side by side as the terminal is wide, then notes and signature.

    Under each mean stand its n, where it is over fewer prompts than others, and the paired difference from
    the reference, with a mark where it is beyond chance; nothing depends on colour.

    Args:
        leaderboard: What to show.
        console: Where.
    """
    name_width = min(_NAME_WIDTH, max([len(row.checkpoint.id) for row in leaderboard.rows] + [10]))
    console.print(Text(leaderboard.suite, style="bold"))
    for panel in panels(leaderboard, room=console.width - name_width - 2, least=_CELL_WIDTH + 3):
        console.print(_table(leaderboard, panel, name_width))
    legend = (
        f"bold: may be the best; second line: difference from {leaderboard.reference}, "
        f"▲ better, ▼ worse (Holm-adjusted p < {SIGNIFICANT})."
    )
    for note in (legend, in_domain_note(leaderboard, "†"), *leaderboard.notes, *remarks(leaderboard)):
        if note:
            console.print(Text(note, style="dim"))
    for section in sections(leaderboard):
        _print_section(section, console, name_width)
    console.print(Text(signature_of(leaderboard), style="dim"), soft_wrap=True)


def print_verdict(report: GateReport, console: Console) -> None:
    """Prints the outcome, who was compared, a row a scorer, what the columns mean and what to do next.

    Args:
        report: What to show; nothing in it depends on colour.
        console: Where.
    """
    console.print(Text(headline(report), style=f"bold {_COLOURS[report.verdict.outcome]}"))
    for name, text in compared_rows(report):
        console.print(Text(f"{name:<13}{text}"))
    console.print(_verdict_table(report, console.width))
    for line in verdict_remarks(report):
        console.print(Text(line))
    for line in LEGEND:
        console.print(Text(line, style="dim"))
    console.print(Text(clean(report.signature), style="dim"), soft_wrap=True)


def _print_section(section: Section, console: Console, name_width: int) -> None:
    for part in section.split(console.width, name=name_width):
        table = Table(
            box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title_justify="left", title_style="bold"
        )
        table.title = Text(section.title)
        table.add_column(Text(part.header[0]), max_width=name_width, overflow="fold")
        for name in part.header[1:]:
            lines = (folded(line, _CELL_WIDTH) for line in name.split("\n"))
            table.add_column(Text("\n".join(lines)), justify="right", no_wrap=True)
        for name, *cells in part.rows:
            table.add_row(Text(folded(name, name_width)), *map(Text, cells))
        console.print(table)
    for note in section.notes:
        console.print(Text(note, style="dim"))


def folded(name: str, width: int) -> str:
    r"""A long name in lines, broken after the signs that such names are made of.

    Example:
        >>> folded("rpo-reverse_kl-beta1.0-seed0", 16)
        'rpo-reverse_kl-\nbeta1.0-seed0'
    """
    lines = [""]
    for piece in re.split(r"(?<=[-_/.])", name):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _table(leaderboard: Leaderboard, panel: Panel, name_width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("checkpoint", max_width=name_width, overflow="fold")
    for column in panel.columns:
        table.add_column(_heading(column), justify="right", min_width=_CELL_WIDTH, no_wrap=True)
    for row in leaderboard.rows:
        name = Text(folded(row.checkpoint.id, name_width))
        if not row.ranked:
            name.append("\nnot ranked", style="dim")
        beside = (prompts_beside(leaderboard, column.cell(row)) for column in panel.columns)
        cells = (_cell(row, column, n) for column, n in zip(panel.columns, beside, strict=True))
        table.add_row(name, *cells)
    return table


def _heading(column: PanelColumn) -> Text:
    return Text.assemble(f"{headed(column.facts)}\n", (column.facts.axis, "dim not bold"))


def _cell(row: LeaderboardRow, column: PanelColumn, n: int | None) -> Text:
    cell, places = column.cell(row), column.decimals
    if cell.mean is None:
        return Text("–  ")
    width = half_width(cell)
    dagger = "† " if row.checkpoint.id in column.facts.in_domain else "  "
    text = Text.assemble(
        (f"{cell.mean:.{places}f}", "bold" if cell.group == 1 else ""),
        ("" if width is None else f" ±{width:.{places}f}", "dim"),
        dagger,
    )
    if n is not None:
        text.append(f"\nn = {n}  ", style="dim")
    if cell.difference is not None:
        mark, colour = _MARKS[better_or_worse(cell, higher_is_better=column.facts.higher_is_better)]
        text.append(f"\n{cell.difference:+.{places}f}{mark}", style=colour or "dim")
    return text


def _verdict_table(report: GateReport, width: int) -> Table:
    rows = [finding_numbers(finding) for finding in report.verdict.findings]
    # Two words of a heading stand above each other.
    headings = [name.replace(" ", "\n") for name in rows[0]]
    widths = [
        max(len(text) for text in [*heading.split("\n"), *cells])
        for heading, *cells in zip(headings, *(row.values() for row in rows), strict=True)
    ]
    gap = 2 if _LEAST_NAME + sum(widths) + 2 * len(widths) <= width else 1
    room = max(width - sum(widths) - gap * len(widths), _LEAST_NAME)
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, gap - 1, 0, 0), pad_edge=False)
    for heading, justify in [("scorer", _LEFT), *((heading, _RIGHT) for heading in headings)]:
        table.add_column(heading, justify=justify, no_wrap=True)
    for finding, row in zip(report.verdict.findings, rows, strict=True):
        name = Text.assemble(
            f"{folded(clean(finding.scorer), room)}\n  ", (finding.outcome, _COLOURS[finding.outcome])
        )
        table.add_row(name, *map(Text, row.values()))
    return table
