"""Values of scorers: a number, or why there is none; anything else is an error and never a number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmark.core.errors import FbenchError, UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Missing:
    """The value of a scorer that has nothing to score, with the reason."""

    note: str


Value = float | Missing


def attempt(act: Callable[[], T]) -> T:
    """Has a scorer do something, and lets nothing but the user end the process.

    Raises:
        RuntimeError: for what is no `Exception`: ``SystemExit`` of a library that was written as a program,
            a panic of compiled code.
    """
    try:
        return act()
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise RuntimeError(f"it raised {said(error)}") from error


def expected(failed: str, act: Callable[[], T]) -> T:
    """As `attempt`, where there is no row yet that could say what went wrong.

    Args:
        failed: What is the matter if it does, in words.
        act: What a scorer is to do.

    Raises:
        UserError: for whatever goes wrong.
    """
    try:
        return attempt(act)
    except FbenchError:
        raise
    except Exception as error:
        raise UserError(f"{failed} ({said(error)})") from error


def number(value: Any) -> Value:
    """The value of a scorer as Python's float; numpy's and torch's scalars are welcome, `Missing` stays.

    Raises:
        TypeError: for text, a complex number, a generator, nothing.
        ValueError: for several numbers at once.
        OverflowError: for a whole number that no float can hold.
    """
    if isinstance(value, Missing):
        return value
    scalar = value.item() if getattr(value, "ndim", None) == 0 else value
    if not hasattr(scalar, "__float__"):
        raise TypeError(f"the scorer returned {type(value).__name__}, which is no number")
    return float(scalar)


def number_or_error(value: Any) -> Value | Exception:
    """As `number`, with what is wrong as a value of its own."""
    try:
        return number(value)
    except Exception as error:  # noqa: BLE001  # anything may call itself a number
        return error


def said(error: BaseException) -> str:
    """An exception as the note of a row, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
