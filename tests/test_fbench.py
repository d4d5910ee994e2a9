"""`import fbench` gives the public names, and says so when another `benchmark` is in the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fbench


@pytest.mark.parametrize("name", sorted(fbench._PUBLIC))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(fbench, name) is not None
    assert name in dir(fbench)


def test_a_name_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(AttributeError, match="fbench has no 'Promt'; it has Checkpoint"):
        getattr(fbench, "Promt")  # noqa: B009  # attribute access would not type-check


@pytest.mark.parametrize("name", ["benchmark.py", "benchmark/__init__.py"])
def test_another_benchmark_on_the_path_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x = 1\n")
    done = subprocess.run(
        [sys.executable, "-c", "import fbench"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert f"{path} comes first; rename that file or folder" in done.stderr
