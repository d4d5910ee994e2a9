"""Every command line that a page or a docstring shows is one that the real commands take."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmark.core.errors import FbenchError

ROOT = Path(__file__).resolve().parents[2]
_DIARIES = ("LOG.md", "CHANGELOG.md")
"""Say what was typed then."""
PAGES = [
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "results/**/*.md",
        "benchmark/**/*.py",
        "trainers/**/*.py",
        "*.py",
    )
    for path in sorted(ROOT.glob(pattern))
    if path.name not in _DIARIES and "fbench " in path.read_text(encoding="utf-8")
]


def _lines(path: Path, command_lines: Any) -> dict[str, bool]:
    text = path.read_text(encoding="utf-8")
    found = {line: typed for line, typed in command_lines.shown_in(text) if not set(line) & set("{<")}
    if path.suffix == ".py":
        # The examples of commands: lines that begin so, deeper than the text of their docstring.
        # In the list of a first start the remark stands beside the command.
        found |= dict.fromkeys(re.findall(r"^      fbench (.*?)(?:   .*)?$", text, flags=re.MULTILINE), True)
    return found


def faults(path: Path, command_lines: Any) -> list[str]:
    """What the commands do not take, and why."""
    wrong = []
    for line, typed in _lines(path, command_lines).items():
        try:
            words = command_lines.parts(line)
            if command_lines.find(words)[1] or typed:
                command_lines.check(words)
        except (FbenchError, typer.TyperException, ValueError) as error:
            # Running text names commands and options without what else they need.
            if typed or type(error).__name__ not in ("MissingParameter", "BadOptionUsage"):
                wrong.append(f"fbench {line}: {type(error).__name__}: {error}")
    return wrong


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_command_lines_are_taken(path: Path, command_lines: Any) -> None:
    assert faults(path, command_lines) == []


def test_there_are_many_of_them(command_lines: Any) -> None:
    assert sum(len(_lines(path, command_lines)) for path in PAGES) > 200


def test_a_line_that_no_command_takes_is_found(tmp_path: Path, command_lines: Any) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Not `fbench tidy`, nor `fbench eval --learning 3`, but `fbench list divergences|models`.\n\n"
        "```sh\nfbench train --preset shapes-tidy\nfbench eval --steps \\\n  -3 | head\nfbench doctor\n```\n"
    )
    found = faults(page, command_lines)
    assert [line.partition(":")[0] for line in found] == [
        "fbench train --preset shapes-tidy", "fbench eval --steps    -3 | head", "fbench tidy",
        "fbench eval --learning 3",
    ]  # fmt: skip
