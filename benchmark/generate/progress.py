"""Tells how far a long job is: a bar on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

_SECONDS_BETWEEN_LINES = 20.0


@contextmanager
def console_progress(what: str) -> Iterator[Progress]:
    """A progress callback that writes to stderr.

    Args:
        what: The job in words: "generating base".
    """
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich import progress as rich
    from rich.console import Console

    counts = (rich.MofNCompleteColumn(), rich.TimeElapsedColumn(), rich.TimeRemainingColumn())
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), *counts)
    with rich.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Progress:
    """A line at once, then one every 20 seconds, then the last."""
    start = time.monotonic()
    last, first_done = -_SECONDS_BETWEEN_LINES, -1

    def tell(done: int, total: int) -> None:
        nonlocal last, first_done
        passed = time.monotonic() - start
        # What was there before this call says nothing about its speed.
        first_done = done if first_done < 0 else first_done
        if done < total and passed - last < _SECONDS_BETWEEN_LINES:
            return
        last = passed
        made = done - first_done
        left = f", about {passed / made * (total - done):.0f} s left" if made and done < total else ""
        sys.stderr.write(f"{what}: {done} of {total} in {passed:.0f} s{left}\n")
        sys.stderr.flush()

    return tell
