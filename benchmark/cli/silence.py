"""A command that takes longer says so within a second, and again where it is silent for long."""

import os
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Event, Thread
from typing import Final

from benchmark.cli import streams
from benchmark.core.console import is_spoken_for, now_doing

FIRST: Final = 0.7
AGAIN: Final = 10.0
"""Seconds of silence after which a line is written: the first one, and later ones."""


class _TorchAnnounced(MetaPathFinder):
    """Writes a line before torch is imported, which holds Python's lock and so keeps every thread waiting."""

    said = False

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Finds nothing: the usual finders do."""
        if fullname == "torch" and not self.said:
            self.said = True
            _say("loading torch")
        return None


def break_silence() -> Event:
    """Watches this process from now on.

    Returns:
        Set it when the command has ended.
    """
    over = Event()
    sys.meta_path.insert(0, _TorchAnnounced())
    Thread(target=_watch, args=(over, time.monotonic()), daemon=True, name="fbench-silence").start()
    return over


def _watch(over: Event, start: float) -> None:
    pause = FIRST
    while not over.wait(pause):
        silent_since = streams.last_written() or start
        allowed = FIRST if streams.last_written() is None else AGAIN
        left = silent_since + allowed - time.monotonic()
        passed = time.monotonic() - start
        # A first line comes before workers have begun; later ones are theirs.
        if left <= 0 and not (is_spoken_for() and passed > AGAIN):
            _say(f"{now_doing() or 'at work'}{f', {passed:.0f} s so far' if passed > AGAIN else ''}")
        pause = max(left, FIRST) if left > 0 else AGAIN


def _say(text: str) -> None:
    # Of several processes under a launcher the first one speaks.
    if os.environ.get("RANK", "0") != "0":
        return
    sys.stderr.write(f"{_command()}: {text}\n")
    sys.stderr.flush()


def _command() -> str:
    """The command of this process, without its options."""
    return " ".join(["fbench", *(word for word in sys.argv[1:2] if word.isidentifier())])
