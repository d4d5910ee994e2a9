"""The page on adding a scorer, followed to the letter: a file, then a package that is really installed."""

import csv
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard import read_score_table

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[[str], str]


@pytest.fixture
def here(tmp_path: Path, scorer_page: Any) -> Path:
    """A folder with the files that the page shows."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    for name, content in scorer_page.files.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def run(here: Path, tmp_path: Path) -> Run:
    """Runs a line of the page there, in a process of its own; what it installs goes into `site`."""
    site = tmp_path / "site"
    programs = {
        "fbench": [sys.executable, "-m", "fbench"],
        "python": [sys.executable],
        "pip": [sys.executable, "-m", "pip"],
    }
    away = f"--no-deps --no-index --no-build-isolation --quiet --target {site}".split()

    def run(line: str) -> str:
        program, *rest = shlex.split(line)
        done = subprocess.run(
            [*programs[program], *rest, *(away if program == "pip" else [])],
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "COLUMNS": "200"},
        )
        assert done.returncode == 0, f"{line}: {done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def test_the_page_can_be_followed(here: Path, run: Run, scorer_page: Any) -> None:
    make, score, install, listed, evaluate, leaderboard = scorer_page.commands
    run(make)
    run(score)
    rows = read_score_table(here / "runs" / "file").rows.set_index("scorer")
    noise, *plain = rows["value"]["sharpness"].tolist()
    assert noise > 0.01
    assert plain == [0, 0]
    # Mean colours: noise is near grey, and both are half a cube's diagonal from black.
    assert float(rows["value"]["palette"]) == pytest.approx(2 / 3 * 0.75**0.5, abs=0.02)

    assert install == "pip install ."
    run(install)
    names = {line.split()[0]: line for line in run(listed).splitlines() if line.strip()}
    assert {"sharpness", "palette", "clip"} <= names.keys()
    assert "from fbench-sharpness (sharpness:Palette)" in names["palette"]
    said = run(evaluate)
    assert "sharpness" in said
    named = here / "runs" / "named"
    with (named / "leaderboard.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert float(line["sharpness"]) > 0
    assert float(line["palette"]) >= 0
    signature = read_score_table(named).signature
    assert "|sharpness:1" in signature
    assert "|palette:1" in signature
    assert "palette" in run(leaderboard)
    # The repository's own page would show them as well.
    run("python -m tools.docs.scorers_page scorers.md")
    text = (here / "scorers.md").read_text()
    assert "| [`sharpness`](#sharpness) | image | texture | higher | 0 = one colour | Mean difference" in text
    assert "* `power`, default `1.0`: p." in text
