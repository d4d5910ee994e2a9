"""What may become of a damaged file, and what may not."""

import contextlib
import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar, Literal

from benchmark.cli.app import command
from benchmark.core.errors import EXIT_MISSING_ROWS, EXIT_OK, EXIT_USER, UserError

Outcome = Literal["refused", "same", "as stated", "SILENT", "TRACEBACK", "HANG"]
"""In capitals what must not happen."""


class Silent(AssertionError):  # noqa: N818  # what was found, and no error of ours
    """Another number, or a lost input, and nobody was told."""


@dataclass(frozen=True)
class Verdict:
    """What became of one damaged file.

    Attributes:
        outcome: `refused` in one line; the `same` numbers as before the damage; or `as stated`: what the file
            says now, by a reading of its own.
        note: The line, or what is wrong.
    """

    outcome: Outcome
    note: str = ""


class Target(ABC):
    """A kind of file and how fbench reads it.

    Class attributes:
        name: For the command line.
        share: Of all cases.
    """

    name: ClassVar[str]
    share: ClassVar[float]

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Makes the sound files in an empty folder, and sees that they are read as they should be."""

    @abstractmethod
    def damage(self, rng: Random) -> str:
        """Puts a damaged file where a sound one was, and says what was done to which."""

    @abstractmethod
    def judge(self) -> Verdict:
        """Has fbench read the damaged file, and holds what came out against a reading of its own.

        Raises:
            UserError: fbench's refusal.
            Silent: for another number, or a lost input.
        """


def run(*words: str) -> None:
    """A command of fbench in this process.

    Raises:
        UserError: its refusal.
        Silent: if it ends otherwise than with numbers or with one line that begins with `error:`.
        Exception: a bug, with its traceback.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command().main(list(words), standalone_mode=False)
    said = err.getvalue().strip().splitlines() or [""]
    if code == EXIT_USER and said[-1].startswith("error:"):
        raise UserError(said[-1].removeprefix("error: "))
    if code not in (EXIT_OK, EXIT_MISSING_ROWS):
        raise Silent(f"exit code {code}, and the last line is {said[-1]!r}")
