"""Leaderboards and verdicts on a terminal."""

from collections.abc import Mapping
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from benchmark.core.records import Leaderboard, ScorerColumn
from benchmark.core.words import number_of
from benchmark.gate import GateReport, Outcome
from benchmark.leaderboard.names import display_names
from benchmark.leaderboard.notes import says_how_to_read
from benchmark.report.finding import finding
from benchmark.report.numbers import SIGNIFICANT, better_or_worse
from benchmark.report.panels import (
    by_axis,
    cell_remarks,
    in_domain_note,
    remarks,
    usual_prompts,
)
from benchmark.report.sections import Section, sections, signature_of, tag_sections
from benchmark.report.terminal_table import folded, tables_of
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
_COLOURS: dict[Outcome, str] = {"pass": "green", "regression": "red", "inconclusive": "yellow"}
_LEAST_NAME = 14
_LEFT: JustifyMethod = "left"
_RIGHT: JustifyMethod = "right"


def print_leaderboard(
    leaderboard: Leaderboard,
    console: Console,
    *,
    every_scorer: bool = False,
    verbose: bool = False,
    more: str = "add --verbose",
) -> None:
    """Prints the finding, a table, and what its marks mean.

    The table holds the scorers that the suite declares, or else the first one of each axis. Beside or under
    each mean stand its n, where it is over fewer prompts than others, and the paired difference from the
    reference, with a mark where it is beyond chance; nothing depends on colour.

    Args:
        leaderboard: What to show.
        console: Where.
        every_scorer: Whether all scorers are shown.
        verbose: Whether everything is: all scorers, then notes, the front, gaps, costs, ids and signature.
        more: How a reader gets that.
    """
    columns = leaderboard.columns if every_scorer or verbose else _first_to_see(leaderboard)
    board = _of_columns(leaderboard, columns)
    names = display_names([row.checkpoint for row in board.rows])
    _prose(console, leaderboard.suite, "bold")
    told = finding(leaderboard)
    if told:
        _prose(console, told)
    console.print()
    shown_columns = [column for column in by_axis(leaderboard) if column.facts in columns]
    # In a file or a pipe nothing is bold.
    starred = not console.is_terminal
    for table in tables_of(leaderboard, shown_columns, names, console.width, starred=starred):
        console.print(table)
        console.print()
    best = "*" if starred else "bold"
    notes = [*_legend(board, usual_prompts(leaderboard), best), *_notes(board, names, verbose=verbose)]
    for note in notes:
        _prose(console, note, "dim")
    shown = sections(board) if verbose else tag_sections(board)
    for section in shown:
        _print_section(_named(section, names), console, _NAME_WIDTH)
    if verbose:
        for id_, name in names.items():
            if name != id_:
                console.print(Text(f"{name} = {id_}", style="dim"), soft_wrap=True)
        console.print(Text(signature_of(leaderboard), style="dim"), soft_wrap=True)
    else:
        hidden = len(leaderboard.columns) - len(columns)
        others = f"{number_of(hidden, 'more scorer')}, " if hidden else ""
        console.print(
            Text(f"For {others}notes, the front, costs and the signature {more}.", style="dim"),
            soft_wrap=True,
        )


def _first_to_see(board: Leaderboard) -> tuple[ScorerColumn, ...]:
    """The scorers that the suite declares, else the first one of each axis."""
    declared = tuple(column for column in board.columns if column.primary)
    of_axes = {column.axis: column for column in reversed(board.columns)}
    return declared or tuple(column for column in board.columns if of_axes[column.axis] is column)


def _of_columns(board: Leaderboard, columns: tuple[ScorerColumn, ...]) -> Leaderboard:
    """The same rows with these scorers alone; every number stays what it is."""
    at = [board.columns.index(column) for column in columns]
    names = {column.name for column in columns}
    rows = tuple(replace(row, cells=tuple(row.cells[i] for i in at)) for row in board.rows)
    by_tag = tuple(cell for cell in board.by_tag if cell.scorer in names)
    return replace(board, columns=columns, rows=rows, by_tag=by_tag)


def _legend(board: Leaderboard, usual: int | None, best: str) -> list[str]:
    """What the marks mean, those that there are.

    Args:
        board: As it is shown.
        usual: The prompts that go without saying.
        best: The mark of the first tie group.
    """
    cells = [
        (cell, column.higher_is_better)
        for row in board.rows
        for cell, column in zip(row.cells, board.columns, strict=True)
    ]
    parts = ["± half the 95 % interval"] if any(cell.lo is not None for cell, _ in cells) else []
    if any(cell.group == 1 for cell, _ in cells):
        parts.append(f"{best}: may be the best")
    if any(cell.n_prompts not in (None, usual) for cell, _ in cells):
        parts.append(f"n: prompts behind the mean, where not {usual}")
    lines = [f"{'; '.join(parts)}."] if parts else []
    if any(cell.difference is not None for cell, _ in cells):
        marks = {better_or_worse(cell, higher_is_better=higher) for cell, higher in cells} - {0}
        words = [word for mark, word in ((1, "▲ better"), (-1, "▼ worse")) if mark in marks]
        tested = f"{', '.join(words)} with a Holm-adjusted p < {SIGNIFICANT}"
        untested = f"none with a Holm-adjusted p < {SIGNIFICANT}"
        lines.append(f"Signed: difference from {board.reference}; {tested if words else untested}.")
    note = in_domain_note(board, "†")
    return [*lines, *([note] if note else [])]


def _notes(board: Leaderboard, names: Mapping[str, str], *, verbose: bool) -> list[str]:
    if verbose:
        return [*board.notes, *remarks(board, names)]
    return [*(note for note in board.notes if not says_how_to_read(note)), *cell_remarks(board, names)]


def _named(section: Section, names: Mapping[str, str]) -> Section:
    """A section with the table's names in place of ids."""
    return replace(
        section,
        header=tuple(names.get(word, word) for word in section.header),
        rows=tuple((names.get(first, first), *rest) for first, *rest in section.rows),
    )


def print_verdict(report: GateReport, console: Console) -> None:
    """Prints the outcome, who was compared, a row a scorer, what the columns mean and what to do next.

    Args:
        report: What to show; nothing in it depends on colour.
        console: Where.
    """
    _prose(console, headline(report), f"bold {_COLOURS[report.verdict.outcome]}")
    for name, text in compared_rows(report):
        _prose(console, f"{name:<13}{text}")
    console.print(_verdict_table(report, console.width))
    for line in verdict_remarks(report):
        _prose(console, line)
    for line in LEGEND:
        _prose(console, line, "dim")
    console.print(Text(clean(report.signature), style="dim"), soft_wrap=True)


def _prose(console: Console, text: str, style: str = "") -> None:
    """Prints words in lines that fit, without the blanks that wrapping leaves at their ends."""
    for line in Text(text, style=style).wrap(console, console.width):
        line.rstrip()
        console.print(line, soft_wrap=True)


def _print_section(section: Section, console: Console, most: int) -> None:
    longest = max(len(row[0]) for row in (section.header, *section.rows))
    name_width = min(most, longest, max(_LEAST_NAME, console.width // 2 - 2))
    console.print()
    _prose(console, section.title, "bold")
    for part in section.split(console.width, name=name_width):
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
        table.add_column(Text(part.header[0]), max_width=name_width, overflow="fold")
        for name in part.header[1:]:
            lines = (folded(line, _CELL_WIDTH) for line in name.split("\n"))
            table.add_column(Text("\n".join(lines)), justify="right", no_wrap=True)
        for name, *cells in part.rows:
            table.add_row(Text(folded(name, name_width)), *map(Text, cells))
        console.print(table)
        console.print()
    for note in section.notes:
        _prose(console, note, "dim")


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
    for found, row in zip(report.verdict.findings, rows, strict=True):
        name = Text.assemble(
            f"{folded(clean(found.scorer), room)}\n  ", (found.outcome, _COLOURS[found.outcome])
        )
        table.add_row(name, *map(Text, row.values()))
    return table
