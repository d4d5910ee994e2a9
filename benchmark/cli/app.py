"""The root of the command tree: which commands there are, imported when they are asked for."""

import importlib
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperGroup

from benchmark import __version__
from benchmark.cli import streams
from benchmark.cli.streams import ReaderGoneError
from benchmark.core import interrupts
from benchmark.core.errors import (
    EXIT_BUG,
    EXIT_OK,
    EXIT_USER,
    ConfigError,
    FbenchError,
    UnknownNameError,
    UserError,
    close_matches,
)
from benchmark.core.system import refusal_of

# In the order of `fbench --help`: the way a newcomer goes.
COMMANDS = (
    "demo", "train", "sweep", "pairs", "eval", "score", "reference", "frontier", "leaderboard", "plot",
    "gate", "regress", "divergence", "push", "weights", "list", "doctor",
)  # fmt: skip


_OPTIONS_ELSEWHERE = {
    "model": ("base", "checkpoint"),
    "pretrained-model-name-or-path": ("base",),
    "lora": ("checkpoint", "lora-rank"),
    "dataset": ("data", "prompts"),
    "dataset-name": ("data",),
    "train-data-dir": ("data",),
    "loss": ("objective",),
    "rank": ("lora-rank",),
    "epochs": ("steps",),
    "num-train-epochs": ("steps",),
    "max-train-steps": ("steps",),
    "num-inference-steps": ("steps",),
    "metrics": ("scorers",),
    "num-images": ("images-per-prompt",),
    "k": ("images-per-prompt",),
    "cfg": ("guidance",),
    "output-dir": ("out",),
    "cache-dir": ("weights-folder",),
}
"""What other programs call our options, where spelling does not tell."""
_COMMANDS_ELSEWHERE = {
    "finetune": "train", "fine-tune": "train", "benchmark": "eval", "generate": "eval", "compare": "gate",
    "table": "leaderboard", "report": "leaderboard", "figure": "plot", "download": "weights fetch",
    "upload": "push", "publish": "push", "info": "doctor", "env": "doctor",
}  # fmt: skip


_FIRST_OPTION = {"eval": "--checkpoint", "train": "--preset", "sweep": "--preset", "demo": "--out"}
"""What a word alone is probably meant as, of commands that take none."""


class Group(TyperGroup):
    """A group whose unknown commands are one line with close matches, and whose bare name shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads this group's own options."""
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds the command that the next word names.

        Raises:
            UnknownNameError: if there is none.
        """
        if not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            meant = _COMMANDS_ELSEWHERE.get(args[0], "")
            known = self.list_commands(ctx)
            if meant.partition(" ")[0] in known:
                raise UserError(
                    f"unknown command {args[0]!r}", do=f"did you mean {ctx.command_path} {meant}?"
                )
            raise UnknownNameError(f"command of {ctx.command_path}", args[0], known)
        return super().resolve_command(ctx, args)


def _refusing(leaf: Any) -> Callable[[Any, list[str]], list[str]]:
    """How a command reads its words, refusing what would be lost or misread in silence.

    That is an option of one value given twice, and an empty path (``--out "$UNSET"``), which to pathlib is
    the current folder.
    """
    parse = leaf.parse_args

    def parse_args(ctx: Any, args: list[str]) -> list[str]:
        given, beyond, order = leaf.make_parser(ctx).parse_args(args=list(args))
        if beyond and ctx.command.name in _FIRST_OPTION:
            option, word = _FIRST_OPTION[ctx.command.name], shlex.quote(beyond[0])
            raise ConfigError(
                f"{word} stands without an option",
                do=f"did you mean {option} {word}? {ctx.command_path} --help",
            )
        for option, count in Counter(order).items():
            if count > 1 and not option.multiple and not option.is_eager:
                raise ConfigError(f"{option.opts[-1]} is given {count} times", do="give it once")
            value = given.get(option.name)
            if _is_path(option) and "" in (value if isinstance(value, list | tuple) else (value,)):
                name = option.opts[-1] if option.param_type_name == "option" else option.metavar
                raise ConfigError(f"{name} is empty", allowed="a path, . for the current folder")
        return list(parse(ctx, args))

    return parse_args


def _is_path(parameter: Any) -> bool:
    annotation = parameter.type_descriptor.annotation
    return Path in (annotation, *get_args(annotation))


class Root(Group):
    """The group of all commands; turns whatever ends one into its exit code."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, without importing anything."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """A command, imported now: ``benchmark.cli.NAME`` has it as ``app``."""
        if cmd_name not in COMMANDS:
            return None
        found = typer.main.get_command(importlib.import_module(f"benchmark.cli.{cmd_name}").app)
        found.name = cmd_name
        for leaf in getattr(found, "commands", {"": found}).values():
            leaf.callback = streams.keep_stdout()(leaf.callback)
            leaf.parse_args = _refusing(leaf)
        return found

    def invoke(self, ctx: Any) -> Any:
        """Runs a command.

        Raises:
            typer.Exit: after Ctrl-C or SIGTERM.
        """
        try:
            with interrupts.terminable():
                return super().invoke(ctx)
        except KeyboardInterrupt as came:
            close_message(f"{interrupts.word_of(came)}; the same command goes on from what is finished")
            raise typer.Exit(interrupts.exit_code_of(came)) from None

    def main(self, *args: Any, **extra: Any) -> Any:
        """Runs a command line; a bug keeps its traceback, everything else ends with its exit code."""
        standalone = extra.pop("standalone_mode", True)
        streams.accept_any_character()
        run = super().main
        extra |= {"prog_name": "fbench", "standalone_mode": False}
        code = exit_code_of(lambda: run(*args, **extra))
        if standalone:
            sys.exit(code)
        return code


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
    return f"unknown option {option} of {context.command_path}; {_option_hint(option, context) or asked}"


def _option_hint(option: str, context: Any) -> str:
    """What was probably meant by an option that a command lacks; empty where nobody knows."""
    name = option.removeprefix("--")
    known = [opt[2:] for parameter in context.command.params for opt in parameter.opts if opt[:2] == "--"]
    setting = name.replace("-", "_")
    if "set" in known:
        from trainers.config import TrainConfig

        if setting in TrainConfig.model_fields:
            return f"it is a setting without a flag: --set {setting}=VALUE"
    elsewhere = [word for word in _OPTIONS_ELSEWHERE.get(name, ()) if word in known]
    close = elsewhere or close_matches(name, known)
    return f"did you mean --{' or --'.join(close)}?" if close else ""


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 a bug, with its traceback, or a regression that the gate found; "
    "2 something you can put right, in one line; 3 the gate is inconclusive; 4 finished, but some rows have "
    "no value; 130 interrupted by Ctrl-C and 143 by SIGTERM, the same command goes on; 141 nobody reads "
    "stdout any more, as in `| head`.",
)


def command() -> Any:
    """The root command."""
    return typer.main.get_command(app)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"fbench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fine-tunes text-to-image diffusion models on preferences, and measures what alignment costs.

    Start here:

      fbench demo                        the whole way on a small world, in minutes
      fbench train --preset shapes-rpo   one training run, into runs/shapes-rpo
      fbench eval --checkpoint base --checkpoint runs/shapes-rpo
      fbench list scorers                what there is
    """
