"""The process of a worker: it begins once, loads what it needs once, and does one unit at a time."""

import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from benchmark.cluster.machines import UnlikeMachineError
from benchmark.cluster.settings import Surroundings
from benchmark.core.errors import DiskFullError, FbenchError, InUseError, RefusedBySystemError
from benchmark.core.system import refusal_of

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Do: TypeAlias = Callable[[Task], Answer]
Prepare: TypeAlias = Callable[[], Do[Task, Answer]]
"""What a worker does once; gives what it does with each unit's task. Sent to the worker's process."""
Hold: TypeAlias = Callable[[], str]
"""Holds the worker's machine against the others; gives a line on what is unlike and can be lived with."""


@dataclass(frozen=True)
class Done(Generic[Answer]):
    """An answer, and the seconds it took."""

    answer: Answer
    seconds: float


@dataclass(frozen=True)
class Begun:
    """The answer of a worker that is there: its machine's name, and a line on that machine."""

    node: str
    remark: str = ""


@dataclass(frozen=True)
class Refused:
    """An error that a user can put right: no other worker would do better."""

    error: FbenchError


@dataclass(frozen=True)
class Failed:
    """Anything else that was raised: in words, and as its traceback."""

    why: str
    trace: str


class Actor:
    """What Ray runs in a process of its own."""

    def __init__(self) -> None:
        self._do: Do[Any, Any] | None = None

    def start(
        self, surroundings: Surroundings, hold: Hold, prepare: Prepare[Any, Any]
    ) -> "Done[Begun] | Refused | Failed":
        """Enters the surroundings, looks at the machine, and prepares."""

        def start() -> Begun:
            surroundings.enter()
            remark = hold()
            self._do = prepare()
            return Begun(platform.node(), remark)

        return _outcome(start)

    def wake(self) -> "Done[Begun]":
        """Answers that it is still there."""
        return Done(Begun(platform.node()), 0.0)

    def do(self, task: Any) -> "Done[Any] | Refused | Failed":
        """Does a unit's task."""
        do = self._do
        assert do is not None
        return _outcome(lambda: do(task))


def _outcome(act: Callable[[], Any]) -> "Done[Any] | Refused | Failed":
    """How something ended; as values, because not every exception survives the way to another process."""
    begin = time.monotonic()
    try:
        return Done(act(), time.monotonic() - begin)
    except FbenchError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, the one who asked must hear of it
        refusal = refusal_of(error)
        if refusal is not None:
            return _refused(refusal)
        return Failed(" ".join(f"{type(error).__name__}: {error}".split())[:300], traceback.format_exc())


def _refused(error: FbenchError) -> "Refused | Failed":
    """What a user must put right, or what may be otherwise on another machine, or in a moment.

    Memory, a mount that is gone, a damaged disk, other weights are of one machine; a lock may be that of a
    worker that died a moment ago, which a file server still holds for it. A full disk is the shared folder's.
    """
    kinds = (InUseError, RefusedBySystemError, UnlikeMachineError)
    of_one = isinstance(error, kinds) and not isinstance(error, DiskFullError)
    return Failed(str(error), "") if of_one else Refused(error)
