"""What the README promises beside its commands, and that its links lead somewhere."""

import re
from pathlib import Path

import pytest

from benchmark.core.registry import Registry
from benchmark.models import models
from trainers.divergences import divergences
from trainers.objectives import objectives

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\]\(([^)\s]+)\)", README)))


def _anchors(page: str) -> set[str]:
    """Of a page's headings, as GitHub and the docs site make them."""
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.split()) <= 900


@pytest.mark.parametrize(
    ("row", "registry"), [("base models", models), ("objectives", objectives), ("divergences", divergences)]
)
def test_its_table_names_everything_there_is(row: str, registry: Registry[object]) -> None:
    (cells,) = re.findall(rf"^\| {row} \| (.*) \|$", README, flags=re.MULTILINE)
    ours = {entry.name for entry in registry if not entry.lazy} - {"expr:"}
    assert len(ours) > 8
    assert ours <= set(re.findall(r"`([\w-]+)`", cells))


@pytest.mark.parametrize("link", [link for link in LINKS if "://" not in link])
def test_its_links_lead_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    page = ROOT / path if path else ROOT / "README.md"
    assert page.exists()
    assert not anchor or anchor in _anchors(page.read_text(encoding="utf-8"))
