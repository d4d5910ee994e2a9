"""The verdict on one screen of 80 columns."""

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from benchmark.gate.decision import Outcome
from benchmark.report.terminal import folded
from benchmark.report.verdict.record import GateReport
from benchmark.report.verdict.words import LEGEND, clean, headline, numbers, remarks, sides

_COLOURS: dict[Outcome, str] = {"pass": "green", "regression": "red", "inconclusive": "yellow"}
_LEAST_NAME = 14
_LEFT: JustifyMethod = "left"
_RIGHT: JustifyMethod = "right"


def print_verdict(report: GateReport, console: Console) -> None:
    """Prints the outcome, who was compared, a row a scorer, what the columns mean and what to do next.

    Args:
        report: What to show; nothing in it depends on colour.
        console: Where.
    """
    console.print(Text(headline(report), style=f"bold {_COLOURS[report.verdict.outcome]}"))
    for name, text in sides(report):
        console.print(Text(f"{name:<13}{text}"))
    console.print(_table(report, console.width))
    for line in remarks(report):
        console.print(Text(line))
    for line in LEGEND:
        console.print(Text(line, style="dim"))
    console.print(Text(clean(report.signature), style="dim"), soft_wrap=True)


def _table(report: GateReport, width: int) -> Table:
    rows = [numbers(finding) for finding in report.verdict.findings]
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
