"""Every number of a leaderboard, a table for each scorer, over as many pages as it takes."""

import re
from collections.abc import Iterator, Sequence

from benchmark.core.records import Leaderboard, LeaderboardRow
from benchmark.report.latex.text import breakable, document, escape_latex, notes, signature, width
from benchmark.report.numbers import SIGNIFICANT, p_text
from benchmark.report.panels import PanelColumn, by_axis
from benchmark.report.sections import Section, sections, signature_of
from benchmark.report.titles import column_title

_ROOM, _SIZE, _GAP = 480, 7, 3.0
_NAME = 120
_LETTER = width("0", _SIZE)
_NUMBERS = ("mean", "95 %", "n", "difference", "95 %", "n", "p", "wins", "group", "scores", "missing")
_EMPTY = "--"


def long_text(leaderboard: Leaderboard) -> str:
    """A longtable for each scorer, then what stands beside the scores, for an appendix in one column.

    Args:
        leaderboard: What to write.

    Returns:
        The document; a paper that takes it in needs booktabs and longtable.
    """
    intro = (
        f"{escape_latex(leaderboard.suite)}. Differences are from {escape_latex(leaderboard.reference)}; p "
        f"is Holm-adjusted over the checkpoints of a scorer and bold below {SIGNIFICANT}; wins is the share "
        "of (prompt, image) pairs won; a bold mean may be the best (group 1); n is the number of prompts "
        "behind a mean or a difference, scores that of the numbers. "
        f"Signature: {signature(signature_of(leaderboard))}"
    )
    tables = [_scorer(leaderboard, column) for column in by_axis(leaderboard)]
    for section in sections(leaderboard):
        tables += _section(section)
    body = [
        # Inside a group, so that a paper's own tables stay as they are.
        r"\begingroup\scriptsize",
        rf"\setlength{{\tabcolsep}}{{{_GAP}pt}}\setlength{{\LTpre}}{{4pt}}\setlength{{\LTpost}}{{4pt}}",
        r"\setlength{\LTleft}{0pt}\setlength{\LTright}{0pt plus 1fill}",
        rf"{{\raggedright\noindent {intro}\par}}",
        *tables,
        rf"\noindent {notes(leaderboard)}\par",
        r"\endgroup",
    ]
    return document("\n".join(body), "booktabs,longtable")


def _scorer(leaderboard: Leaderboard, column: PanelColumn) -> str:
    facts = column.facts
    arrow = r"$\uparrow$" if facts.higher_is_better else r"$\downarrow$"
    details = [facts.axis, *([facts.scale] if facts.scale else []), *(["primary"] if facts.primary else [])]
    title = rf"\textbf{{{escape_latex(column_title(facts))}}} {arrow} ({escape_latex(', '.join(details))})"
    rows = [
        (_name(row, dagger=row.checkpoint.id in facts.in_domain), *_row(row, column))
        for row in leaderboard.rows
    ]
    return _longtable(title, ["checkpoint", *_NUMBERS], rows)


def _name(row: LeaderboardRow, *, dagger: bool) -> str:
    name = breakable(row.checkpoint.id) + (r"$^\dagger$" if dagger else "")
    return name if row.ranked else f"{name} (not ranked)"


def _row(row: LeaderboardRow, column: PanelColumn) -> Iterator[str]:
    cell, places = column.cell(row), column.decimals
    mean = _number(cell.mean, places)
    yield rf"\textbf{{{mean}}}" if cell.group == 1 else mean
    yield _interval(cell.lo, cell.hi, places)
    yield _EMPTY if cell.n_prompts is None else str(cell.n_prompts)
    yield _number(cell.difference, places, sign="+")
    yield _interval(cell.difference_lo, cell.difference_hi, places)
    yield _EMPTY if cell.difference_n_prompts is None else str(cell.difference_n_prompts)
    p = _EMPTY if cell.p_value is None else p_text(cell.p_value).removeprefix("p ").removeprefix("= ")
    p = p.replace("<", "$<$")
    yield rf"\textbf{{{p}}}" if cell.p_value is not None and cell.p_value < SIGNIFICANT else p
    yield _EMPTY if cell.winrate is None else f"{cell.winrate:.2f}"
    yield _EMPTY if cell.group is None else str(cell.group)
    yield str(cell.n)
    yield str(cell.n_missing)


def _number(value: float | None, places: int, sign: str = "") -> str:
    return _EMPTY if value is None else f"{value:{sign}.{places}f}".replace("-", "$-$")


def _interval(lo: float | None, hi: float | None, places: int) -> str:
    return _EMPTY if lo is None or hi is None else f"[{_number(lo, places)}, {_number(hi, places)}]"


def _section(section: Section) -> Iterator[str]:
    letters = min(max(len(row[0]) for row in (section.header, *section.rows)), int(_NAME / _LETTER))
    for part in section.split(int(_ROOM / _LETTER), name=letters):
        title = rf"\textbf{{{_arrows(escape_latex(part.title))}}}"
        rows = [(breakable(row[0]), *map(_plain, row[1:])) for row in part.rows]
        yield _longtable(title, part.header, rows)
    if section.notes:
        yield rf"\noindent {' '.join(map(escape_latex, section.notes))}\par"


def _plain(text: str) -> str:
    return escape_latex(text).replace("-", "$-$") if text[:1] in "+-" else escape_latex(text)


def _arrows(escaped: str) -> str:
    return escaped.replace("[U+2191]", r"$\uparrow$").replace("[U+2193]", r"$\downarrow$")


def _longtable(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of fixed widths: a longtable would find its own only when LaTeX has run a few times."""
    heads = [
        r"\shortstack[r]{" + r"\\".join(map(escape_latex, name.split("\n"))) + "}" for name in header[1:]
    ]
    widths = [
        max(_shown_width(text) for text in (*name.split("\n"), *(row[i] for row in rows)))
        for i, name in enumerate(header[1:], 1)
    ]
    columns = "".join(f"p{{{points:.0f}pt}}" for points in (_NAME, *widths))
    head = rf"\toprule {_line(escape_latex(header[0]), heads)} \midrule"
    lines = [_line(rf"\raggedright\hangindent=1em {row[0]}", row[1:]) for row in rows]
    return "\n".join(
        [
            rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
            rf"\multicolumn{{{len(header)}}}{{@{{}}l}}{{{title}}} \\ {head} \endfirsthead",
            rf"\multicolumn{{{len(header)}}}{{@{{}}l}}{{{title}, continued}} \\ {head} \endhead",
            r"\bottomrule \endfoot",
            *lines,
            r"\end{longtable}",
        ]
    )


def _line(name: str, cells: Sequence[str]) -> str:
    return " & ".join([name, *(rf"\hfill {cell}" for cell in cells)]) + r" \\"


def _shown_width(text: str) -> float:
    """About what LaTeX makes of a cell: its commands take no room."""
    bold = r"\textbf" in text
    plain = re.sub(r"\\textbf|\\allowbreak|[{}$\\]", "", text)
    return width(plain.replace("-", "+"), _SIZE, bold=bold) + 1
