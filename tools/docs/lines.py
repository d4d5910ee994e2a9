"""Lines of Markdown: rows of tables, and text of an even width."""

import re
import textwrap
from typing import Final

WIDTH: Final = 110


def table_row(*cells: str) -> str:
    """One row; in a table a bar ends the cell, also within code, and is escaped."""
    return f"| {' | '.join(map(escaped, cells))} |"


def escaped(text: str) -> str:
    """A cell's text."""
    return text.replace("|", "\\|")


def wrapped(text: str, bullet: str = "") -> str:
    """A paragraph, or an item of a list, in lines of at most `WIDTH`; code and formulas are not broken."""
    # A line that begins with a sign and a blank would begin a list.
    whole = re.sub(r"`[^`]*`|\$[^$]*\$| (?=[-+*] )", lambda found: found[0].replace(" ", "\0"), text)
    lines = textwrap.fill(
        whole,
        WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace("\0", " ")
