"""What is said on the console, and how a program that `python -m` runs ends."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from benchmark.core import interrupts
from benchmark.core.errors import EXIT_BUG, EXIT_OK, FbenchError


def notice(text: str) -> None:
    """Writes a line on stderr that a user should know, and need not put right; nothing for an empty text."""
    if text:
        sys.stderr.write(" ".join(text.split()) + "\n")
        sys.stderr.flush()


_DOING: list[str] = []
_SPEAKING: list[None] = []


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Names a part of the work that may take a while, for whoever breaks the silence: see `now_doing`.

    Args:
        what: A few words, such as "reading the pairs of mine.parquet".
    """
    _DOING.append(what)
    try:
        yield
    finally:
        _DOING.remove(what)


@contextmanager
def workers_speak() -> Iterator[None]:
    """Leaves it to worker processes, which show progress of their own, to break the silence."""
    _SPEAKING.append(None)
    try:
        yield
    finally:
        _SPEAKING.pop()


def is_spoken_for() -> bool:
    """Whether worker processes show how this one's work goes on."""
    return bool(_SPEAKING)


def now_doing() -> str:
    """What this process does at the moment; empty where nobody said."""
    return _DOING[-1] if _DOING else ""


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


def finish(main: Callable[[], None]) -> NoReturn:
    """Runs a program and ends the process; a bug keeps its traceback.

    Args:
        main: Parses the command line and does the work.
    """
    try:
        with interrupts.terminable():
            main()
    except FbenchError as error:
        if error.exit_code == EXIT_BUG:
            raise
        notice(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt as came:
        notice(f"{interrupts.word_of(came)}; the same command goes on")
        sys.exit(interrupts.exit_code_of(came))
    sys.exit(EXIT_OK)


def typed(module: str) -> str:
    """The command of this process, as a user would type it.

    Args:
        module: As after ``python -m``.
    """
    return shlex.join(["python", "-m", module, *sys.argv[1:]])
