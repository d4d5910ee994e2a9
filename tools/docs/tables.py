"""Rows of Markdown tables."""


def table_row(*cells: str) -> str:
    """One row; in a table a bar ends the cell, also within code, and is escaped."""
    return f"| {' | '.join(map(escaped, cells))} |"


def escaped(text: str) -> str:
    """A cell's text."""
    return text.replace("|", "\\|")
