"""Lines on stderr about what a user should know and need not put right."""

import sys


def notice(text: str) -> None:
    """Writes one line on stderr; nothing for an empty text."""
    if text:
        sys.stderr.write(" ".join(text.split()) + "\n")
        sys.stderr.flush()
