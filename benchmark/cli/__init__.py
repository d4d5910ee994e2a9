"""The command ``fbench``: one file a command, each of which parses, calls one function, prints and ends.

What a command needs is imported when it runs, so that ``fbench --help`` and the lists answer at once.
"""

from benchmark.core.errors import EXIT_INTERRUPTED


def main() -> None:
    """Runs the command line of this process and ends it with the documented exit code."""
    try:
        from benchmark.cli.app import command

        command().main()
    except KeyboardInterrupt:
        # Ctrl-C while Python still imports: there is nothing to keep.
        raise SystemExit(EXIT_INTERRUPTED) from None


__all__ = ["main"]
