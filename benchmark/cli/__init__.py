"""The command ``fbench``: one file a command, each of which parses, calls one function, prints and ends.

What a command needs is imported when it runs, so that ``fbench --help`` and the lists answer at once.
"""

import sys

from benchmark.cli import streams
from benchmark.cli.silence import break_silence
from benchmark.core.errors import EXIT_INTERRUPTED


def main() -> None:
    """Runs the command line of this process and ends it with the documented exit code."""
    try:
        streams.take_over()
        over = break_silence()
        from benchmark.cli.app import command

        try:
            command().main()
        finally:
            over.set()
    except KeyboardInterrupt:
        # Ctrl-C while Python still imports: there is nothing to keep.
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        # What libraries print when the process ends is not ours either.
        sys.stdout = sys.stderr


__all__ = ["main"]
