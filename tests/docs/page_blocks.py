"""Follows a how-to page: its files are written, its commands run, in the order of the page.

For the fixture `follow_page` of conftest.py.
"""

import contextlib
import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from typer.testing import CliRunner, Result

from benchmark.cli.app import app

Shorten = Callable[[list[str]], list[str]]


def blocks(page: str, *languages: str) -> list[str]:
    """The content of the page's code blocks in these languages, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    return [content for language, content in found if language in languages]


def file_name(page: str, block: str) -> str:
    """The last file named before a block: a page says `mine.py`, then shows what is in it."""
    before = page[: page.index(block)]
    return str(re.findall(r"`([\w/-]+\.py)`", before)[-1])


def commands(page: str) -> list[list[str]]:
    """The fbench commands of the page's shell blocks, in order, without the program's name or launcher."""
    shells = re.findall(r"^ *```(?:sh|console|bash)\n(.*?)^ *```", page, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(shells).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.strip().removeprefix("$ "), comments=True) for line in lines]
    return [words[words.index("fbench") + 1 :] for words in found if _is_fbench(words)]


def _is_fbench(words: list[str]) -> bool:
    return words[:1] == ["fbench"] or ("-m", "fbench") in pairwise(words)


def titled(page: str) -> dict[str, str]:
    """The content of blocks that have a file name as their title."""
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', page, flags=re.MULTILINE | re.DOTALL))


def with_options(words: list[str], options: str) -> list[str]:
    """A command with these options in the place of its own: most may be given once."""
    new = shlex.split(options)
    names = {word for word in new if word.startswith("--")}
    kept = [
        word
        for before, word in pairwise(["", *words])
        if word not in names and (before not in names or word.startswith("--"))
    ]
    return kept + new


def follow(
    page: Path, folder: Path, shorten: Shorten = lambda words: words
) -> list[tuple[list[str], Result]]:
    """Writes the page's Python blocks and titled blocks into a folder and runs its commands there.

    Args:
        page: The page.
        folder: Where; with what the page takes for granted.
        shorten: Makes a command small enough for a test, such as by `--dry-run`.

    Returns:
        The commands as they stand on the page, and how each ended.
    """
    text = page.read_text(encoding="utf-8")
    for block in blocks(text, "python"):
        (folder / file_name(text, block)).write_text(block, encoding="utf-8")
    for name, content in titled(text).items():
        (folder / name).write_text(content, encoding="utf-8")
    with contextlib.chdir(folder):
        return [(words, CliRunner().invoke(app, shorten(list(words)))) for words in commands(text)]
