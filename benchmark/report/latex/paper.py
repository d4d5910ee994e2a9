"""Tables that fit a paper: panels of scorers as wide as the text, or as one column of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.core.records import Leaderboard, LeaderboardCell, LeaderboardRow, ScorerColumn
from benchmark.leaderboard.names import display_names
from benchmark.report.latex.text import breakable, document, escape_latex, notes, signature, width
from benchmark.report.numbers import SIGNIFICANT, better_or_worse, fixed, half_width
from benchmark.report.panels import Panel, PanelColumn, by_axis, fitted
from benchmark.report.titles import column_title

_MARKS = {1: "+", 0: "", -1: "-"}


@dataclass(frozen=True)
class _Form:
    """How a form is set.

    Attributes:
        room: Width in points: the narrowest of the usual classes.
        environment: The float.
        size: Name and points of the font.
        small: Likewise of intervals, notes and signature.
        gap: Half the space between two columns, in points.
        name: Points that a name may take before it is broken into lines, where scorers need the room.
    """

    room: float
    environment: str
    size: tuple[str, int]
    small: tuple[str, int]
    gap: float
    name: float


# A two-column article has 410 points of text in columns of 200; other classes have more, NeurIPS has 397.
PAPER_FORMS: Mapping[str, _Form] = {
    "paper": _Form(397, "table*", ("footnotesize", 8), ("scriptsize", 7), 3.5, 94),
    "column": _Form(200, "table", ("scriptsize", 7), ("tiny", 5), 3, 56),
}


def paper_text(leaderboard: Leaderboard, form: str) -> str:
    """A float with a panel for every few scorers, grouped by axis.

    Bold is the group that may be the best, + and - mark differences from the reference beyond chance;
    notes are below, the signature is in the caption. Checkpoints have their short names.

    Args:
        leaderboard: What to write.
        form: One of `PAPER_FORMS`.

    Returns:
        The document.
    """
    chosen = PAPER_FORMS[form]
    names = display_names([row.checkpoint for row in leaderboard.rows])
    reference = names.get(leaderboard.reference, leaderboard.reference)
    size, small = chosen.size[0], chosen.small[0]
    caption = (
        f"{escape_latex(leaderboard.suite)}. Mean $\\pm$ half the 95\\,\\% interval. Bold: may be the best. "
        f"$^{{+}}$ better, $^{{-}}$ worse than {escape_latex(reference)} "
        f"(Holm-adjusted $p < {SIGNIFICANT}$).\\hfill\\break\n"
        # In a box: a caption cannot end a paragraph, and keeps the line height of its last words.
        rf"\protect\parbox[t]{{\linewidth}}{{\{small}\raggedright Signature: "
        rf"{signature(leaderboard.signature)}\strut}}"
    )
    tabulars = [_tabular(leaderboard, panel, names, chosen) for panel in _panels(leaderboard, names, chosen)]
    body = [
        rf"\begin{{{chosen.environment}}}[!htbp]",
        rf"\centering\{size}\setlength{{\tabcolsep}}{{{chosen.gap}pt}}",
        # In braces: a prompt set such as core[:96] would end the option.
        rf"\caption[{{{escape_latex(leaderboard.suite)}}}]{{{caption}}}",
        r"\label{tab:fbench}",
        r"\smallskip",
        "\n\\medskip\n\n".join(tabulars),
        "\n\\smallskip",
        # A narrow column has no room for justified lines.
        rf"\parbox{{\linewidth}}{{\{small}\raggedright {notes(leaderboard)}}}",
        rf"\end{{{chosen.environment}}}",
    ]
    return document("\n".join(body))


def _panels(leaderboard: Leaderboard, names: Mapping[str, str], form: _Form) -> tuple[Panel, ...]:
    """As few panels as fit, all about equally many scorers wide."""
    columns = by_axis(leaderboard)
    room = form.room - _name_width(leaderboard, names, form) - form.gap
    widths = [_column_width(leaderboard, column, form) + 2 * form.gap for column in columns]
    return fitted(columns, widths, room)


def _name_width(leaderboard: Leaderboard, names: Mapping[str, str], form: _Form) -> float:
    """That of the longest name, if it is short or a table of few scorers leaves the room."""
    longest = max((width(name, form.size[1]) for name in ("checkpoint", *names.values())), default=0.0)
    taken = sum(_column_width(leaderboard, c, form) + 2 * form.gap for c in by_axis(leaderboard))
    return min(longest, max(form.name, form.room - form.gap - taken))


def _column_width(leaderboard: Leaderboard, column: PanelColumn, form: _Form) -> float:
    widths = [width(line, form.size[1]) for line in _heading_lines(column.facts, form)]
    for row in leaderboard.rows:
        cell = column.cell(row)
        if cell.mean is not None:
            mean, interval = _numbers(cell, column.decimals)
            bold = cell.group == 1
            widths.append(width(mean, form.size[1], bold=bold) + width(interval, form.small[1]) + 1.5)
    return max(widths)


def _numbers(cell: LeaderboardCell, places: int) -> tuple[str, str]:
    assert cell.mean is not None, "only known means are written"
    half = half_width(cell)
    return fixed(cell.mean, places), "" if half is None else f"±{half:.{places}f}"


def _heading_lines(facts: ScorerColumn, form: _Form) -> list[str]:
    """A scorer's name and arrow in lines about as wide as its numbers."""
    lines = [""]
    pieces = column_title(facts).replace("_", "_\0").split("\0")
    for piece in (*pieces, f" {'↑' if facts.higher_is_better else '↓'}"):
        if lines[-1] and width(lines[-1] + piece, form.size[1]) > 5.5 * form.size[1]:
            lines.append("")
        lines[-1] += piece
    return lines


def _tabular(leaderboard: Leaderboard, panel: Panel, names: Mapping[str, str], form: _Form) -> str:
    count = max(1, len(panel.columns))
    name_width = _name_width(leaderboard, names, form)
    lines = [
        rf"\begin{{tabular}}{{@{{}}p{{{name_width:.0f}pt}}*{{{count}}}{{r}}@{{}}}}",
        r"\toprule",
        *_headings(panel, form),
        r"\midrule",
    ]
    for row in leaderboard.rows:
        # A bracket after a space opens the next line, it does not end one.
        name = breakable(names[row.checkpoint.id], "_-,(").replace(r" (\allowbreak{}", " (")
        name += "" if row.ranked else " (not ranked)"
        cells = [_cell(row, column, form) for column in panel.columns]
        lines.append(" & ".join([rf"\raggedright\hangindent=1em {name}", *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _headings(panel: Panel, form: _Form) -> list[str]:
    """The axes, each with a rule over its scorers, then the scorers with their direction."""
    axes, rules, column = [""], [], 2
    for axis, count in panel.axes():
        axes.append(rf"\multicolumn{{{count}}}{{c}}{{{axis}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + count - 1}}}")
        column += count
    split = [_heading_lines(c.facts, form) for c in panel.columns]
    height = max(map(len, split), default=1)
    lines = [" & ".join(axes) + r" \\", " ".join(rules)]
    for i in range(height):
        # Names end on the line above the numbers.
        parts = [name[i - height + len(name)] if i >= height - len(name) else "" for name in split]
        lines.append(" & ".join(["checkpoint" if i == height - 1 else "", *map(_arrowed, parts)]) + r" \\")
    return lines


def _arrowed(text: str) -> str:
    arrows = {"↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    return escape_latex(text[:-1]) + " " + arrows[text[-1]] if text[-1:] in arrows else escape_latex(text)


def _cell(row: LeaderboardRow, column: PanelColumn, form: _Form) -> str:
    cell = column.cell(row)
    if cell.mean is None:
        return "--"
    mean, interval = (text.replace("-", "$-$") for text in _numbers(cell, column.decimals))
    beside = rf"\,{{\{form.small[0]}$\pm${interval[1:]}}}" if interval else ""
    dagger = r"\dagger" if row.checkpoint.id in column.facts.in_domain else ""
    sign = _MARKS[better_or_worse(cell, higher_is_better=column.facts.higher_is_better)]
    # Close together, or the two would reach into the next column.
    mark = rf"{dagger}\!{sign}" if dagger and sign else dagger + sign
    # Marks take no room, so that the numbers above each other stay in line.
    hanging = rf"\rlap{{$^{{{mark}}}$}}" if mark else ""
    return (rf"\textbf{{{mean}}}" if cell.group == 1 else mean) + beside + hanging
