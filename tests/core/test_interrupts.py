"""SIGTERM is what Ctrl-C is, but for the exit code."""

import pickle
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from benchmark.core.errors import EXIT_INTERRUPTED, EXIT_TERMINATED
from benchmark.core.interrupts import Terminated, exit_code_of, postponed, terminable

SIGNALS = [
    (signal.SIGINT, KeyboardInterrupt, EXIT_INTERRUPTED),
    (signal.SIGTERM, Terminated, EXIT_TERMINATED),
]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A shell starts what it puts into the background deaf to Ctrl-C."""
    before: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    outside = {number: signal.signal(number, handler) for number, handler in before.items()}
    yield
    assert {number: signal.getsignal(number) for number in before} == before
    for number, handler in outside.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "kind", "code"), SIGNALS)
def test_a_signal_ends_a_command_with_its_own_code(
    number: signal.Signals, kind: type[KeyboardInterrupt], code: int
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, terminable():
        signal.raise_signal(number)
    assert type(caught.value) is kind
    assert exit_code_of(caught.value) == code == 128 + number
    assert type(pickle.loads(pickle.dumps(caught.value))) is kind


@pytest.mark.filterwarnings("error")
def test_those_that_come_together_are_one() -> None:
    # Python complains on stderr where a handler comes to ignore one that is pending.
    numbers = {signal.SIGTERM, signal.SIGINT}
    with pytest.raises(KeyboardInterrupt), terminable():
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        # To this thread: one of another that takes signals would have them handled at some later time.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def test_what_a_library_makes_of_it_keeps_its_code() -> None:
    with pytest.raises(Terminated), terminable():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None


def test_a_second_sigterm_does_not_disturb_the_tidying_up() -> None:
    tidied = False
    with pytest.raises(Terminated), terminable():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            tidied = True
    assert tidied


@pytest.mark.parametrize(("number", "kind", "code"), SIGNALS)
def test_a_postponed_one_is_told_and_not_raised(
    number: signal.Signals, kind: type[KeyboardInterrupt], code: int
) -> None:
    with terminable(), postponed() as came:
        assert came() is None
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)
        assert type(came()) is kind
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_the_process_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with terminable(), postponed() as came:
        signal.raise_signal(signal.SIGTERM)
        assert came() is None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_other_threads_leave_signals_alone() -> None:
    said: list[KeyboardInterrupt | None] = []

    def work() -> None:
        with terminable(), postponed() as came:
            said.append(came())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == [None]
