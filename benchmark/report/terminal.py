"""The leaderboard on a terminal."""

import re

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.core.records import Leaderboard, LeaderboardRow
from benchmark.report.numbers import SIGNIFICANT, half_width, verdict
from benchmark.report.panels import (
    Panel,
    PanelColumn,
    in_domain_note,
    panels,
    prompts_beside,
    remarks,
)
from benchmark.report.sections import Section, sections, signature_of

_CELL_WIDTH = 16
_NAME_WIDTH = 34
_MARKS = {1: (" ▲", "green"), 0: ("  ", ""), -1: (" ▼", "red")}


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
    arrow = "↑" if column.facts.higher_is_better else "↓"
    return Text.assemble(f"{column.facts.name} {arrow}\n", (column.facts.axis, "dim not bold"))


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
        mark, colour = _MARKS[verdict(cell, higher_is_better=column.facts.higher_is_better)]
        text.append(f"\n{cell.difference:+.{places}f}{mark}", style=colour or "dim")
    return text
