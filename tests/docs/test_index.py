"""The home page leads to every page: a reader of the repository has no menu beside it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def menu() -> dict[str, list[str]]:
    """The pages by section, as the site's menu has them."""

    class Plain(yaml.SafeLoader):  # type: ignore[misc]
        """Leaves out what only the site's builder knows."""

    Plain.add_multi_constructor("", lambda *_: None)
    read: Any = yaml.load((DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"), Plain)
    return {name: pages for part in read["nav"] for name, pages in part.items()}


def test_all_pages_stand_in_the_order_of_the_menu_under_their_titles(menu: dict[str, list[str]]) -> None:
    listed = (DOCS / "index.md").read_text(encoding="utf-8").partition("## All pages")[2]
    found = re.findall(r"\[([^\]]+)\]\(([^)]+)\)", " ".join(listed.split()))
    assert [page for _, page in found] == [p for pages in menu.values() for p in pages if p != "index.md"]
    for title, page in found:
        assert (DOCS / page).read_text(encoding="utf-8").startswith(f"# {title}\n")
    assert re.findall(r"\*\*(\w+)\.\*\*", listed) == list(menu)
