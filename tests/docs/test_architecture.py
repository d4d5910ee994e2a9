"""The tree on the page of the architecture is the one that is there, and the files it names are."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def _rooms(text: str) -> set[str]:
    """The folders of a tree: a line that begins with a name is a package, an indented one a room of it."""
    found, package = set[str](), ""
    for line in text.splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        if name.endswith("/"):
            package = package if indent else name
            found.add(package if not indent else package + name)
    return found


def test_the_tree_is_the_one_that_is_there() -> None:
    (tree,) = re.findall(r"## Rooms\n\n```\n(.*?)```", PAGE, re.DOTALL)
    there = set()
    for package in ("benchmark", "trainers", "tools"):
        there |= {f"{package}/"} | {
            f"{p.parent.relative_to(ROOT)}/" for p in (ROOT / package).glob("*/__init__.py")
        }
    assert _rooms(tree) == there
    assert all(re.match(r" *\S+ {2,}\S", line) for line in tree.splitlines()), "every room has its line"


def test_files_on_the_page_are_there() -> None:
    named = re.findall(r"`((?:benchmark|trainers|tools|tests|docs|prompts|results)/[^`\s]*)`", PAGE)
    assert len(named) > 20
    # NAME stands for a new one; benchmark/data is in the wheel alone.
    lacking = [name for name in named if "NAME" not in name and not (ROOT / name).exists()]
    assert [name for name in lacking if name != "benchmark/data/"] == []


def test_layers_are_those_of_the_contract() -> None:
    (drawn,) = re.findall(r"higher ones:\n\n```\n(.*?)```", PAGE, re.DOTALL)
    ours = [re.findall(r"\w+", re.split(r"\||  ", line)[0]) for line in drawn.splitlines()]
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (layers,) = re.findall(r'containers = \["benchmark"\].*?layers = \[\n(.*?)\n\]', config, re.DOTALL)
    assert ours == [re.findall(r"\w+", line) for line in layers.splitlines()]
