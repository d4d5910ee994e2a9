"""How a study run by `python -m` ends: one line for what a user can put right, and the exit code."""

import shlex
import sys
from collections.abc import Callable
from typing import NoReturn

from benchmark.core import interrupts
from benchmark.core.errors import EXIT_BUG, EXIT_OK, FbenchError


def finish(main: Callable[[], None]) -> NoReturn:
    """Runs a study and ends the process; a bug keeps its traceback.

    Args:
        main: Parses the command line and does the work.
    """
    try:
        with interrupts.terminable():
            main()
    except FbenchError as error:
        if error.exit_code == EXIT_BUG:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as came:
        print(f"{interrupts.word_of(came)}; the same command goes on", file=sys.stderr)
        sys.exit(interrupts.exit_code_of(came))
    sys.exit(EXIT_OK)


def typed(module: str) -> str:
    """The command of this process, as a user would type it.

    Args:
        module: As after ``python -m``.
    """
    return shlex.join(["python", "-m", module, *sys.argv[1:]])
