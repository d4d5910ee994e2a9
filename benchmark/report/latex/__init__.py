r"""The leaderboard as booktabs tables that compile as they stand.

The same file is a document of its own and can be ``\input`` into a paper that loads booktabs: the
preamble is skipped where a document has already begun.
"""

from benchmark.core.errors import UnknownNameError
from benchmark.core.records import Leaderboard
from benchmark.report.latex.long import long_text
from benchmark.report.latex.paper import PAPER_FORMS, paper_text
from benchmark.report.latex.text import escape_latex

LATEX_FORMS = (*PAPER_FORMS, "long")


def latex_text(leaderboard: Leaderboard, form: str = "paper") -> str:
    """The leaderboard in one of three forms.

    Args:
        leaderboard: What to write.
        form: ``paper`` is as wide as the text of a two-column paper, ``column`` as one of its columns: means
            with intervals, in panels of scorers. ``long`` holds every number, over as many pages as it takes.

    Returns:
        The text of ``leaderboard.tex``.

    Raises:
        UnknownNameError: For another form.
    """
    if form not in LATEX_FORMS:
        raise UnknownNameError("form of a LaTeX table", form, LATEX_FORMS)
    return long_text(leaderboard) if form == "long" else paper_text(leaderboard, form)


__all__ = ["LATEX_FORMS", "escape_latex", "latex_text"]
