"""What the pages under docs/ show: files, under the title of their block, and commands."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Page:
    """A page's fenced blocks.

    Attributes:
        files: Content by title, in order.
        commands: Those of its `console` blocks, in order; one that is broken by `\\` is one.
    """

    files: dict[str, str]
    commands: list[str]


def read_page(name: str) -> Page:
    """The blocks of a page of docs/."""
    text = (DOCS / name).read_text(encoding="utf-8")
    found = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', text, flags=re.MULTILINE | re.DOTALL)
    files = {title: content for _, title, content in found if title}
    typed = [lines.replace("\\\n", "") for kind, _, lines in found if kind == "console"]
    return Page(files, [line for lines in typed for line in lines.splitlines()])


@pytest.fixture
def objective_page() -> Page:
    """docs/adding-an-objective.md."""
    return read_page("adding-an-objective.md")


@pytest.fixture
def scorer_page() -> Page:
    """docs/adding-a-scorer.md."""
    return read_page("adding-a-scorer.md")


@pytest.fixture(scope="session")
def family_page() -> Page:
    """docs/adding-a-family.md."""
    return read_page("adding-a-family.md")


@pytest.fixture(scope="session")
def page_blocks() -> Any:
    """The functions of page_blocks.py."""
    path = Path(__file__).resolve().parent / "page_blocks.py"
    spec = importlib.util.spec_from_file_location("fbench_page_blocks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
