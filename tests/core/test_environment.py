"""A manifest names the code that ran, and only ours."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.core import environment, resources


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_the_revision_says_whether_the_code_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "checkout", lambda: tmp_path)
    assert environment.git_revision() == "", "no repository"
    git(tmp_path, "init")
    assert environment.git_revision() == "", "no commit"
    (tmp_path / "a.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = environment.git_revision()
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    (tmp_path / "a.py").write_text("2\n")
    assert environment.git_revision() == f"{clean}+changed"


def test_an_installed_wheel_has_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "checkout", lambda: None)
    assert environment.git_revision() == ""


def test_a_modules_command_can_be_typed_again(tmp_path: Path) -> None:
    package = tmp_path / "studied"
    package.mkdir()
    (package / "__init__.py").write_text("")
    said = "from benchmark.core.environment import typed_command\nprint(typed_command())\n"
    for name in ("__main__", "alone"):
        (package / f"{name}.py").write_text(said)
    for module in ("studied", "studied.alone"):
        done = subprocess.run(
            [sys.executable, "-m", module, "--seeds", "0 1"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == f"python -m {module} --seeds '0 1'"


def test_where_the_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert environment.cache_folder() == tmp_path / "fbench"
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path / "own"))
    assert environment.cache_folder() == tmp_path / "own"
