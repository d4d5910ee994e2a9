"""How a command ends: an exit code, and for everything that a user can put right one line on stderr."""

from collections.abc import Callable
from typing import Any

import typer

from benchmark.cli.streams import ReaderGoneError
from benchmark.core.errors import EXIT_BUG, EXIT_OK, EXIT_USER, FbenchError, close_matches
from benchmark.core.system import refusal_of


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
        # Model libraries read and write files of their own, past benchmark.core.store.
        refusal = refusal_of(error)
        if refusal is None:
            raise
        close_message(f"error: {refusal}")
        return refusal.exit_code
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
