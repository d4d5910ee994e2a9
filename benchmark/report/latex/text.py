"""Text and documents in LaTeX, and how wide text gets."""

import unicodedata

from benchmark.core.records import Leaderboard
from benchmark.report.panels import in_domain_note, remarks

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "±": r"$\pm$", "×": r"$\times$",
    "–": "--", "†": r"$^\dagger$", "`": r"\`{}",
}  # fmt: skip

# Widths of Computer Modern in em; what is not named is about as wide as a capital.
_WIDTHS = {
    **dict.fromkeys("il.,:;'!|", 0.28), **dict.fromkeys("fjrst-()[] ", 0.39), **dict.fromkeys("cez_", 0.45),
    **dict.fromkeys("0123456789", 0.5), **dict.fromkeys("abdghknopquvxy", 0.55),
    **dict.fromkeys("w+=±", 0.78), **dict.fromkeys("m%@", 0.84),
}  # fmt: skip
# Small sizes are wider for their height.
_STRETCH = {5: 1.36, 7: 1.14, 8: 1.06}

_BEGIN = r"""% Made by fbench. Compile it as it stands, or \input it into a paper that loads PACKAGES.
\makeatletter
\ifx\documentclass\@twoclasseserror
  \let\fbenchend\relax
\else
  \documentclass[10pt]{article}
  \usepackage[utf8]{inputenc}
  \usepackage{PACKAGES}
  \usepackage[margin=2cm]{geometry}
  \pagestyle{empty}
  \def\fbenchend{\end{document}}
  \begin{document}
\fi
\makeatother
"""


def document(body: str, packages: str = "booktabs") -> str:
    """A body that is a document of its own, or a part of one.

    Args:
        body: LaTeX.
        packages: What it needs, with commas between.
    """
    return f"{_BEGIN.replace('PACKAGES', packages)}{body}\n\\fbenchend\n"


def width(text: str, points: int, *, bold: bool = False) -> float:
    """About how wide a line gets, in points, rather too wide than too narrow.

    Args:
        text: Plain text.
        points: Size of the font.
        bold: Whether it is bold.

    Example:
        >>> width("20.55", 8) > width("20.55", 7) > width("1.1", 7)
        True
    """
    em = points * _STRETCH.get(points, 1.0) * (1.15 if bold else 1.0)
    return em * sum(_WIDTHS.get(char, 0.75) for char in text)


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


def breakable(text: str, after: str = "|:@-_/=,") -> str:
    """Escaped text that may break after the signs that long names are made of."""
    pieces = [escape_latex(char) if char != " " else " " for char in text]
    return "".join(p + (r"\allowbreak{}" if c in after else "") for c, p in zip(text, pieces, strict=True))


def signature(text: str) -> str:
    """A signature in typewriter letters, which have a bar of their own and need no other font's."""
    return rf"\texttt{{{breakable(text)}}}".replace(r"\textbar{}", "|")


def notes(leaderboard: Leaderboard) -> str:
    """The notes under a table of scores."""
    found = (in_domain_note(leaderboard, "†"), *leaderboard.notes, *remarks(leaderboard))
    return "\n".join(escape_latex(note) for note in found if note)
