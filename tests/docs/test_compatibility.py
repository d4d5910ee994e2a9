"""Every line of docs/compatibility.md is held by a test that exists."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUTCOMES = ("opened exactly", "converted", "refused by name")


def _lines() -> list[list[str]]:
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    rows = [line.strip().strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows if row[0].strip() != "written by"]


@pytest.mark.parametrize("line", _lines(), ids=lambda line: f"{line[0]}: {line[1]}")
def test_a_line_names_its_outcome_and_its_test(line: list[str]) -> None:
    assert len(line) == 4
    assert line[2].startswith(OUTCOMES), f"an outcome begins with one of {OUTCOMES}"
    file, _, name = line[3].strip("`").partition("::")
    tests = {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert name in tests
