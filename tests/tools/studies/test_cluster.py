"""The figures on the page of clusters are those that were measured, and hold what the page claims."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.core.store import read_json
from tools.docs.marks import between_marks
from tools.studies.cluster.faults import Row
from tools.studies.cluster.page import texts

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    results = ROOT / "results" / "cluster.json"
    if not results.is_file():
        pytest.skip(
            "nothing is measured: python -m tools.studies.cluster measure, on a machine that is quiet"
        )
    found: dict[str, Any] = read_json(results)
    return found


@pytest.mark.optional
def test_the_page_says_what_was_measured(known: dict[str, Any]) -> None:
    page = ROOT / "docs" / "cluster.md"
    for name, text in texts(known).items():
        assert between_marks(page, name, text) == page.read_text()


@pytest.mark.optional
def test_every_fault_left_the_images_and_scores_of_one_process(known: dict[str, Any]) -> None:
    rows = [Row(**one) for one in known.values() if "images" in one]
    assert len(rows) == 7
    for row in rows:
        assert row.images == row.all_images == 3 * 48 * 4
        assert row.scores == row.all_scores > 1000
    assert known["ten kills"]["note"] == "10 of 10 kills"
    assert known["ten kills"]["restarts"] >= 10
    assert "and the command given again" in known["the head dies"]["note"]
    assert known["large"]["peak_gb"] < 4


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- figures -->\n")
    with pytest.raises(
        UserError, match="has no place for figures; allowed: <!-- figures --> and <!-- end of figures -->"
    ):
        between_marks(tmp_path / "page.md", "figures", "")
