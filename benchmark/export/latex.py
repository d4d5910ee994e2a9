r"""The leaderboard as a booktabs table that compiles as it stands.

The same file is a document of its own and can be ``\input`` into a paper that loads booktabs: the
preamble is skipped where a document has already begun.
"""

import unicodedata

from benchmark.core.records import Leaderboard, LeaderboardRow
from benchmark.export.numbers import SIGNIFICANT, half_width, verdict
from benchmark.export.panels import Panel, PanelColumn, in_domain_note, panels, remarks

# In letters of footnote size: the width of a page, and a number with its interval.
_PAGE, _LEAST = 112, 16
_MARKS = {1: "+", 0: "", -1: "-"}
_LONG_NAME = 28
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "±": r"$\pm$", "×": r"$\times$",
    "–": "--", "†": r"$^\dagger$", "`": r"\`{}",
}  # fmt: skip

_BEGIN = r"""% Made by fbench. Compile it as it stands, or \input it into a paper that loads booktabs.
\makeatletter
\ifx\documentclass\@twoclasseserror
  \let\fbenchend\relax
\else
  \documentclass[10pt]{article}
  \usepackage[utf8]{inputenc}
  \usepackage{booktabs}
  \usepackage[margin=2cm]{geometry}
  \pagestyle{empty}
  \def\fbenchend{\end{document}}
  \begin{document}
\fi
\makeatother
"""


def latex_text(leaderboard: Leaderboard) -> str:
    """A table with a panel for every few scorers, grouped by axis.

    Bold is the group that may be the best, + and - mark differences from the reference beyond
    chance; notes and signature are in the caption.

    Args:
        leaderboard: What to write.

    Returns:
        The text of ``leaderboard.tex``.
    """
    longest = max([len(row.checkpoint.id) for row in leaderboard.rows] + [len("checkpoint")])
    room = _PAGE - min(longest, _LONG_NAME)
    tabulars = [_tabular(leaderboard, panel) for panel in panels(leaderboard, room=room, least=_LEAST)]
    return "\n".join(
        [
            _BEGIN + r"\begin{table*}[!htbp]",
            r"\centering\footnotesize\setlength{\tabcolsep}{8pt}",
            rf"\caption{{{_caption(leaderboard)}}}",
            r"\label{tab:fbench}",
            r"\smallskip",
            "\n\\medskip\n\n".join(tabulars),
            "\n\\smallskip",
            rf"\parbox{{\linewidth}}{{\scriptsize {_notes(leaderboard)}}}",
            r"\end{table*}",
            r"\fbenchend",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    r"""Text that LaTeX shows as it is; a character that its fonts lack appears as its code.

    Example:
        >>> print(escape_latex("a_b & 50 % #1"))
        a\_b \& 50 \% \#1
    """
    return "".join(_SPECIAL.get(char) or _plain(char) for char in " ".join(text.split()))


def _plain(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    if unicodedata.category(char)[0] == "L" and "À" <= char <= "ÿ" and char not in "ÐðÞþ":
        return char
    bare = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return escape_latex(bare) if bare.strip() else f"[U+{ord(char):04X}]"


def _breakable(text: str) -> str:
    """Escaped text that may break after the signs that long names are made of."""
    pieces = [escape_latex(char) if char != " " else " " for char in text]
    return "".join(
        p + (r"\allowbreak{}" if c in "|:@-_/=," else "") for c, p in zip(text, pieces, strict=True)
    )


def _caption(leaderboard: Leaderboard) -> str:
    what = (
        f"{escape_latex(leaderboard.suite)}. Mean $\\pm$ half the 95\\,\\% interval. Bold: may be the best. "
        f"$^{{+}}$ better, $^{{-}}$ worse than {escape_latex(leaderboard.reference)} "
        f"(Holm-adjusted $p < {SIGNIFICANT}$)."
    )
    # The typewriter font has its own bar, and so needs no other font's.
    signature = _breakable(leaderboard.signature).replace(r"\textbar{}", "|")
    return f"{what}\nSignature: \\texttt{{\\scriptsize {signature}}}"


def _notes(leaderboard: Leaderboard) -> str:
    notes = (in_domain_note(leaderboard, "†"), *leaderboard.notes, *remarks(leaderboard))
    return "\n".join(escape_latex(note) for note in notes if note)


def _tabular(leaderboard: Leaderboard, panel: Panel) -> str:
    width = max(1, len(panel.columns))
    long = any(len(row.checkpoint.id) > _LONG_NAME for row in leaderboard.rows)
    first = r"p{0.26\linewidth}" if long else "l"
    lines = [
        rf"\begin{{tabular}}{{@{{}}{first}*{{{width}}}{{r}}}}",
        r"\toprule",
        *_headings(panel),
        r"\midrule",
    ]
    for row in leaderboard.rows:
        name = _breakable(row.checkpoint.id) + ("" if row.ranked else " (not ranked)")
        cells = [_cell(row, column) for column in panel.columns]
        lines.append(" & ".join([rf"\raggedright {name}" if long else name, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _headings(panel: Panel) -> list[str]:
    """The axes, each with a rule over its scorers, then the scorers with their direction."""
    axes, rules, column = [""], [], 2
    for axis, count in panel.axes():
        axes.append(rf"\multicolumn{{{count}}}{{c}}{{{axis}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + count - 1}}}")
        column += count
    names = ["checkpoint"]
    for facts in (panel_column.facts for panel_column in panel.columns):
        arrow = r"\uparrow" if facts.higher_is_better else r"\downarrow"
        names.append(rf"{escape_latex(facts.name)} ${arrow}$")
    return [" & ".join(axes) + r" \\", " ".join(rules), " & ".join(names) + r" \\"]


def _cell(row: LeaderboardRow, column: PanelColumn) -> str:
    cell, places = column.cell(row), column.decimals
    if cell.mean is None:
        return "--"
    mean = f"{cell.mean:.{places}f}".replace("-", "$-$")
    width = half_width(cell)
    interval = "" if width is None else rf"\,{{\scriptsize$\pm${width:.{places}f}}}"
    dagger = r"\dagger" if row.checkpoint.id in column.facts.in_domain else ""
    mark = dagger + _MARKS[verdict(cell, higher_is_better=column.facts.higher_is_better)]
    # Marks take no room, so that the numbers above each other stay in line.
    hanging = rf"\rlap{{$^{{{mark}}}$}}" if mark else ""
    return (rf"\textbf{{{mean}}}" if cell.group == 1 else mean) + interval + hanging
