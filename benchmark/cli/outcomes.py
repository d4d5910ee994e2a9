"""How a command ends: an exit code, and for everything that a user can put right one line on stderr."""

import errno
from collections.abc import Callable, Iterator
from typing import Any

import typer

from benchmark.cli.streams import ReaderGoneError
from benchmark.core.errors import EXIT_BUG, EXIT_OK, EXIT_USER, FbenchError, close_matches

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_SPACE = "No space left on device"


def exit_code_of(run: Callable[[], Any]) -> int:
    """Runs a command and says how it ended; a bug is not caught, so that it keeps its traceback.

    Args:
        run: Returns an exit code, or anything else for 0.
    """
    try:
        code = run()
    except ReaderGoneError as gone:
        return gone.exit_code
    except FbenchError as error:
        if error.exit_code == EXIT_BUG:
            raise
        close_message(f"error: {error}")
        return error.exit_code
    except SystemExit as left:
        # Of a library that was written as a program: its code, maybe 0, must not pass for ours.
        close_message(f"error: something called sys.exit({left.code!r}) and ended the command")
        return EXIT_BUG
    except typer.TyperException as error:
        close_message(f"error: {_usage(error)}")
        return EXIT_USER
    except Exception as error:
        # Model libraries write files of their own, past benchmark.core.store.
        if not _disk_is_full(error):
            raise
        close_message(
            "error: the disk is full; free some space or choose another --out; the same command resumes"
        )
        return EXIT_USER
    return code if isinstance(code, int) else EXIT_OK


def close_message(text: str) -> None:
    """The one line on stderr with which a command ends."""
    typer.echo(" ".join(text.split()), err=True)


def _usage(error: typer.TyperException) -> str:
    """What Typer found wrong with the words of a command line, with close matches for options."""
    from pydantic import ValidationError

    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    words = " ".join(error.format_message().split()).rstrip(".")
    if isinstance(error.__cause__, ValidationError) and parameter is not None:
        wrong = error.__cause__.errors(include_url=False)[0]
        words = f"{parameter.opts[-1]} is {wrong['input']!r}: {wrong['msg']}"
    if context is None:
        return words
    asked = f"`{context.command_path} --help` says more"
    option = getattr(error, "option_name", None)
    if option is None or not words.startswith("No such option"):
        return f"{words}; {asked}"
    known = [name for parameter in context.command.params for name in parameter.opts]
    close = close_matches(option, [name for name in known if name.startswith("--")])
    hint = f"did you mean {' or '.join(close)}?" if close else asked
    return f"unknown option {option} of {context.command_path}; {hint}"


def _disk_is_full(error: BaseException) -> bool:
    return any(
        (isinstance(e, OSError) and e.errno in _FULL) or _NO_SPACE in str(e) for e in _with_causes(error)
    )


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
