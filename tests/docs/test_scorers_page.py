"""docs/scorers.md says what the scorers say."""

from pathlib import Path

from benchmark.scorers import scorers
from tools.docs.scorers_page import markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scorers.md"


def test_the_page_is_what_the_command_writes() -> None:
    # Another package's scorers, where one is installed, are not on our page.
    assert PAGE.read_text(encoding="utf-8") == markdown([entry for entry in scorers if not entry.lazy])


def test_every_scorer_has_its_row_and_every_option_its_line() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in scorers.names():
        assert f"| [`{name}`](#{name}) | {scorers.get(name).unit} |" in text  # type: ignore[attr-defined]
        assert f"## `{name}`" in text
    assert "* `precision`, default `'fp32'`" in text
    assert "* `weights`, default `'published'`" in text
    assert "* `weights`, default `'embedded'`" not in text
