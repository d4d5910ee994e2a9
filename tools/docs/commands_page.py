"""`python -m tools.docs.commands_page docs/commands.md` writes that page from the help texts."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.cli.app import COMMANDS, command
from tools.docs.lines import escaped, wrapped

_HEAD = r"""# Commands

Written by `python -m tools.docs.commands_page docs/commands.md` from what `--help` says; a test keeps it so.

| exit code | meaning |
|--:|:--|
| 0 | done |
| 1 | a bug, with its traceback; or a regression, found by `fbench gate` or `fbench regress` |
| 2 | something you can put right: one line on stderr, with what was given, what is allowed and what to do |
| 3 | the verdict of `fbench gate` or `fbench regress` is inconclusive |
| 4 | finished, but some rows have no value |
| 130 | interrupted by Ctrl-C; the same command goes on from what is finished |
| 141 | nobody reads stdout any more, as in `fbench list scorers \| head -1`; what was made is kept |
| 143 | terminated by SIGTERM, which schedulers send; the same, also for every worker process |

Results go to stdout, all else to stderr, also what scorers and libraries print: with `--json` stdout is JSON
alone. What the encoding of stdout lacks is written in ASCII, in JSON as an escape.
"""


def markdown() -> str:
    """The whole page."""
    root = command()
    parts = [_HEAD]
    for name in COMMANDS:
        parts += _sections(root.get_command(None, name), f"fbench {name}", 2)
    return "\n".join(parts)


def _sections(found: Any, path: str, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} `{path}`\n"
    yield from _prose(inspect.cleandoc(found.help or ""))
    rows = [row for parameter in found.params if (row := _row(parameter))]
    if rows:
        yield "| option | what |\n|:--|:--|"
        yield "\n".join(rows) + "\n"
    for name, child in getattr(found, "commands", {}).items():
        yield from _sections(child, f"{path} {name}", depth + 1)


def _prose(text: str) -> Iterator[str]:
    """Paragraphs; the examples become a code block."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("Examples:"):
            lines = [line.strip() for line in paragraph.splitlines()[1:]]
            yield "```sh\n" + "\n".join(lines) + "\n```\n"
        else:
            yield wrapped(" ".join(paragraph.split())) + "\n"


def _row(parameter: Any) -> str:
    what = escaped(parameter.help or "")
    value = f"`{escaped(parameter.metavar)}`" if parameter.metavar else ""
    if parameter.param_type_name == "argument":
        return f"| {value or f'`{parameter.name.upper()}`'} | {what} |"
    names = " / ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    default = f" (default {parameter.default})" if isinstance(parameter.default, Path) else ""
    return f"| {names} {value}".rstrip() + f" | {what}{default} |"


if __name__ == "__main__":
    from benchmark.core.store import write_text

    write_text(Path(sys.argv[1]), markdown())
