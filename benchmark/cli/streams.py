"""stdout is for commands alone, by `benchmark.cli.output`; whatever else is printed goes to stderr."""

import codecs
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final, TextIO

from benchmark.core.errors import EXIT_CLOSED_PIPE, FbenchError, UserError

_PLAIN: Final = {
    "±": "+-", "▲": "^", "▼": "v", "↑": "^", "↓": "v", "→": "->", "†": "+", "‡": "++", "–": "-", "—": "-",
    "−": "-", "…": "...", "·": "*", "•": "*", "×": "x", "²": "^2", "≤": "<=", "≥": ">=",
    "β": "beta", "κ": "kappa", "τ": "tau", "σ": "sigma", "χ": "chi",
}  # fmt: skip
"""Our marks, where an encoding lacks them."""

_ERRORS: Final = "fbench.plain"


class ReaderGoneError(FbenchError):
    """Whoever read stdout has closed it, as ``| head`` does when it has seen enough."""

    exit_code = EXIT_CLOSED_PIPE


class _Stdout(io.TextIOWrapper):
    """stdout whose failures are told apart from those of the files that a command works on."""

    def write(self, text: str, /) -> int:
        _note()
        return int(self._told(lambda: super(_Stdout, self).write(text)) or 0)

    def flush(self) -> None:
        self._told(super().flush)

    def _told(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OSError as error:
            # What is left in the buffer would be written again, at the latest when Python ends.
            _lead_nowhere(self.fileno())
            if isinstance(error, BrokenPipeError):
                raise ReaderGoneError("stdout has no reader any more") from error
            raise UserError(
                f"cannot write to stdout ({error.strerror})",
                do="what the command made is kept; send its output somewhere else",
            ) from error


class _Stderr(io.TextIOWrapper):
    """stderr: that nobody hears a remark is no reason to stop the work."""

    def write(self, text: str, /) -> int:
        _note()
        return int(self._tried(lambda: super(_Stderr, self).write(text)) or 0)

    def flush(self) -> None:
        self._tried(super().flush)

    def _tried(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OSError:
            _lead_nowhere(self.fileno())
            return None


def take_over() -> None:
    """Makes stdout ours for the rest of this process, down to its file descriptor.

    What compiled code and child processes write to descriptor 1 goes to stderr from now on, and `sys.stdout`
    writes to a copy of the old one. Nothing is put back: compiled code may keep lines until the process ends.
    So this is for the process of the command ``fbench``, and not for a program that calls it.
    """
    shown, heard = sys.stdout, sys.stderr
    for descriptor in (1, 2):
        # The next file that is opened would be given a closed one, and prints would end up in it.
        if not _is_open(descriptor):
            _lead_nowhere(descriptor)
    ours = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = _Stdout(os.fdopen(ours, "wb"), **_like(shown))
    sys.stderr = _Stderr(os.fdopen(2, "wb", closefd=False), **_like(heard))
    if shown is None:
        sys.stderr.write("note: stdout is closed: results are not shown\n")


def accept_any_character() -> None:
    """Has stdout and stderr write what their encoding lacks in another way, instead of failing."""
    codecs.register_error(_ERRORS, _written_plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


_WRITTEN: list[float] = []


def _note() -> None:
    _WRITTEN[:] = [time.monotonic()]


def last_written() -> float | None:
    """When stdout or stderr, since they were taken over, were last written to, in monotonic seconds."""
    return _WRITTEN[0] if _WRITTEN else None


_KEPT: list[TextIO] = []


@contextmanager
def keep_stdout() -> Iterator[None]:
    """Keeps `stdout` for a command while it runs: what anybody else prints, in any thread, goes to stderr."""
    _KEPT.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _KEPT.pop()


def stdout() -> TextIO:
    """Where a command's results go."""
    return _KEPT[-1] if _KEPT else sys.stdout


def _like(stream: TextIO | None) -> dict[str, Any]:
    """How a stream writes text; of one that is closed, as a pipe would be written to."""
    return {
        "encoding": getattr(stream, "encoding", "utf-8"),
        "line_buffering": getattr(stream, "line_buffering", False),
    }


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _written_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = (_PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking)
    return "".join(plain), error.end
