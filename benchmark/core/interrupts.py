"""Ctrl-C, and SIGTERM, which schedulers send: a command ends in order and goes on later.

Both raise an exception: every `finally` runs, no file is left half, and the manifest says ``cancelled``.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmark.core.errors import EXIT_INTERRUPTED, EXIT_TERMINATED


class Terminated(KeyboardInterrupt):
    """SIGTERM came: as Ctrl-C, but for the exit code."""


def exit_code_of(interruption: KeyboardInterrupt) -> int:
    """What a command ends with, as a shell expects: 128 and the number of the signal."""
    return EXIT_TERMINATED if isinstance(interruption, Terminated) else EXIT_INTERRUPTED


def word_of(interruption: KeyboardInterrupt) -> str:
    """What happened, in a word."""
    return "terminated" if isinstance(interruption, Terminated) else "interrupted"


@contextmanager
def terminable() -> Iterator[None]:
    """Within, SIGTERM raises `Terminated` where the program stands, as Ctrl-C raises KeyboardInterrupt.

    Only the first of them counts: a scheduler that sends several must not disturb the tidying up.
    """
    first = 0

    def interrupt(number: int, _frame: object) -> None:
        nonlocal first
        if first and number == signal.SIGTERM:
            return
        first = first or number
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    with _handled(interrupt):
        try:
            yield
        except KeyboardInterrupt as error:
            # A library in whose code it came may raise a plain one in its place, as Ray does.
            if first == signal.SIGTERM and not isinstance(error, Terminated):
                raise Terminated from error
            raise


@contextmanager
def postponed() -> Iterator[Callable[[], KeyboardInterrupt | None]]:
    """Within, what is in progress ends at the first Ctrl-C or SIGTERM; a second Ctrl-C is not waited for.

    Yields:
        Tells what came; to be asked, and raised, where it is safe to stop.
    """
    came: list[KeyboardInterrupt] = []

    def note(number: int, _frame: object) -> None:
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())

    with _handled(note):
        yield lambda: came[0] if came else None


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handles both signals within; one that the process was told to ignore stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    mine = [number for number, was in before.items() if was not in {signal.SIG_IGN, None}]
    for number in mine:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
