"""Progress of a run: a bar on a terminal, plain lines otherwise, on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_LINES = 10  # of a run, where there is no terminal


class Progress(Protocol):
    """Takes note of a step done."""

    def __call__(self, step: int, note: str) -> None:
        """Step counted from 1, and a few words."""


@contextmanager
def progress(steps: int, done: int, what: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Shows how far a run is.

    Args:
        steps: In all.
        done: By earlier attempts.
        what: A few words.
        quiet: Show nothing, as on all processes but the first.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, quiet=quiet, soft_wrap=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, TextColumn("{task.fields[note]}"), console=console, transient=True) as bar:
            task = bar.add_task(what, total=steps, completed=done, note="")
            yield lambda step, note: bar.update(task, completed=step, note=note)
        return
    start = time.monotonic()

    def line(step: int, note: str) -> None:
        if step in (done + 1, steps) or step % max(1, steps // _LINES) == 0:
            seconds = time.monotonic() - start
            console.print(
                f"{what}: step {step}/{steps}, {seconds:.0f} s, {note}", markup=False, highlight=False
            )

    yield line


def say(line: str) -> None:
    """Tells what a user should know while a run goes on."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
