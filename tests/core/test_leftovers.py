"""What a killed process was writing goes, what it replaced comes back, and nothing else is touched."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core import store
from benchmark.core.leftovers import clear_leftovers


def test_parts_are_cleared_and_nothing_else(tmp_path: Path) -> None:
    store.write_text(tmp_path / "a" / "kept.json", "{}")
    for left in (".kept.77-x1.part", ".step-000004.x1.part", ".step-000004.77.old"):
        (tmp_path / "a" / left).mkdir()
    (tmp_path / "a" / "step-000004").mkdir()
    for left in (".resume.77.part.pt", ".table.1.part", ".a.b.77.part.npy"):
        (tmp_path / "a" / left).write_text("half")
    theirs = (".browser.part", "film.part", ".hidden", ".part.txt", "notes.1.part.txt", ".x.part.npy")
    for name in theirs:
        (tmp_path / "a" / name).write_text("a user's")
    clear_leftovers(tmp_path)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"kept.json", "step-000004", *theirs}
    clear_leftovers(tmp_path / "not there")


@pytest.mark.parametrize("die_at", [1, 2], ids=["before the old one moves", "before the new one comes"])
def test_a_folder_killed_while_it_is_replaced_comes_back(tmp_path: Path, die_at: int) -> None:
    path = tmp_path / "step-000004"
    with store.atomic_folder(path) as folder:
        (folder / "weights").write_text("old")
    child = os.fork()
    if not child:
        _replace_and_die(path, die_at)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert path.exists() == (die_at == 1)
    clear_leftovers(tmp_path)
    assert (path / "weights").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _replace_and_die(path: Path, die_at: int) -> None:
    renames = 0

    def dying(move: Callable[[Path, Any], Path]) -> Callable[[Path, Any], Path]:
        def moved(self: Path, target: Any) -> Path:
            nonlocal renames
            renames += 1
            if renames == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return move(self, target)

        return moved

    setattr(Path, "rename", dying(Path.rename))  # noqa: B010  # mypy knows no other method by this name
    with store.atomic_folder(path) as folder:
        (folder / "weights").write_text("new")


def test_a_folder_interrupted_while_it_is_replaced_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "step-000004"
    with store.atomic_folder(path) as folder:
        (folder / "weights").write_text("old")
    move = Path.rename

    def interrupted(self: Path, target: Any) -> Path:
        if self.suffix == ".part":
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), store.atomic_folder(path) as folder:
        (folder / "weights").write_text("new")
    assert (path / "weights").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
