"""docs/python-api.md: its examples do what they show, and every public name is on it."""

import contextlib
import doctest
import re
from pathlib import Path

import fbench
from benchmark.core.records import ScoreRow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python-api.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_the_examples_do_what_they_show(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        done = doctest.testfile(str(PAGE), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert done.attempted > 20
    assert done.failed == 0


def test_every_public_name_is_on_the_page_and_no_other() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## All names")[2]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert named == {*fbench.__all__} - {"__version__"}


def test_the_columns_are_those_of_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("The columns of `scores.parquet`")[2]
    rows = re.findall(r"^\| `(\w+)` \| (?:text|integer|float)", text, re.MULTILINE)
    assert rows == list(ScoreRow.__dataclass_fields__)
