"""The walks of the page on the architecture are counted as it says."""

import re
from pathlib import Path

import pytest

from tools.walks import WALKS, files_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
READ = {"step": "A training step", "clip": "A CLIP score", "gate": "A verdict", "cell": "A cell"}


def _row(name: str) -> list[int]:
    """Read, run and run before."""
    (line,) = [line for line in PAGE.splitlines() if line.endswith("|") and WALKS[name].title in line]
    return [int(cell) for cell in line.strip("| ").split("|")[1:]]


def _read(name: str) -> list[str]:
    (text,) = re.findall(rf"\* \*\*{READ[name]}\*\*: (.*?)(?=\n\* |\Z)", PAGE, re.DOTALL)
    return re.findall(r"`((?:benchmark|trainers)/[^`\s]*\.py)`", text)


@pytest.mark.parametrize("name", sorted(WALKS))
def test_the_files_to_read_are_as_many_as_the_page_says(name: str) -> None:
    files = _read(name)
    assert len(files) == len(set(files)) == _row(name)[0]
    assert all((ROOT / file).is_file() for file in files)


@pytest.mark.parametrize("name", ["clip", "step"])
def test_a_tracer_counts_the_files_that_run(name: str) -> None:
    ran = files_of(name)
    assert len(ran) == _row(name)[1] < _row(name)[2]
    assert set(_read(name)) <= set(ran)
