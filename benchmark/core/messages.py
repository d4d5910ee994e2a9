"""Lines for people: notices on stderr, and sizes of files in words."""

import sys


def notice(text: str) -> None:
    """Writes a line on stderr that a user should know, and need not put right; nothing for an empty text."""
    if text:
        sys.stderr.write(" ".join(text.split()) + "\n")
        sys.stderr.flush()


def readable_size(count: int) -> str:
    """Bytes as a person reads them; a dash where they are not known.

    Example:
        >>> readable_size(3_940_000_000), readable_size(485), readable_size(0)
        ('3.94 GB', '485 B', '-')
    """
    if not count:
        return "-"
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= least:
            return f"{count / least:.3g} {unit}"
    return f"{count} B"
