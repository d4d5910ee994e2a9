"""Command lines as pages and messages show them, read by the real commands; none of them is run."""

import re
import shlex
from collections.abc import Iterator
from itertools import product
from typing import Any

from benchmark.cli.app import command
from benchmark.core.errors import UserError

_PLACEHOLDER = re.compile(r"\.\.\.|\[[^\]]*\]")


def check(words: list[str]) -> None:
    """Reads a command line to its last word.

    Settings are checked as far as that needs no file, and so are the names that registries know.

    Args:
        words: Without ``fbench``.

    Raises:
        Exception: of Typer or fbench, as a user would get it.
    """
    leaf, rest = find([word for word in words if word not in ("--help", "--version")])
    context = leaf.make_context(leaf.name, list(rest))
    config = getattr(leaf, "config", None)
    placeholder = any(re.fullmatch(r"[A-Z][A-Z_]*", word) for word in rest)
    if config is not None and not context.params.get("config") and not placeholder:
        from benchmark.cli import cluster, options

        given = options.settings_of(context, out="out")
        config().resolve(None, {name: given[name] for name in given.keys() - cluster.OPTIONS})


def find(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words behind them.

    Raises:
        UserError: if there is none.
    """
    root: Any = command()
    if words and words[0].startswith("-"):
        return root, []
    leaf = root.get_command(None, words[0]) if words else root
    if leaf is None:
        raise UserError(f"no command {words[0]}")
    rest = words[1:]
    if getattr(leaf, "commands", None) and rest and not rest[0].startswith("-"):
        if rest[0] not in leaf.commands:
            raise UserError(f"no command {words[0]} {rest[0]}")
        leaf, rest = leaf.commands[rest[0]], rest[1:]
    return leaf, rest


def shown_in(page: str) -> Iterator[tuple[str, bool]]:
    """The command lines of a page, without ``fbench``, and whether each stands in a block, to be typed.

    Of ``a|b`` in running text each is one.
    """
    blocks = re.findall(r"^ *```(?:sh|bash|console)[^\n]*\n(.*?)^ *```", page, flags=re.MULTILINE | re.DOTALL)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:[\w./]*/)?fbench (.*)", line)
        if found:
            yield found[1], True
    prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`fbench ([^`]+)`", prose):
        # In a table a pipe is written with a backslash.
        words = " ".join(_PLACEHOLDER.sub(" ", span.replace("\\|", " | ").replace("\n", " ")).split())
        words = words.partition(" | ")[0]
        if re.search(r"[\"'(]", words):
            yield words, False
        else:
            yield from ((" ".join(one), False) for one in product(*(w.split("|") for w in words.split())))


def parts(line: str) -> list[str]:
    """The words of a line, up to a pipe or a remark."""
    words = shlex.split(line, comments=True)
    ends = [i for i, word in enumerate(words) if word in ("|", "&&", "||", ";", ">", "2>&1", "&")]
    return words[: min(ends, default=len(words))]
