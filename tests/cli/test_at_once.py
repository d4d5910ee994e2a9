"""Two commands in one folder: the second is refused before it touches anything, whichever command it is."""

import multiprocessing as mp
import shutil
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from PIL import Image
from typer.testing import Result

from benchmark.cli.app import COMMANDS, command
from benchmark.core.locks import held
from benchmark.core.manifest import FILE_NAME, Manifest

Fbench = Callable[..., Result]
WRITERS = [
    name for name in COMMANDS if any("--out" in p.opts for p in command().get_command(None, name).params)
]


def _hold(folder: Path, ready: Connection) -> None:
    with held(folder, "another command"):
        ready.send(None)
        signal.pause()


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Path]:
    """A folder that another process is writing to."""
    ready, send = mp.Pipe(duplex=False)
    process = mp.get_context("fork").Process(target=_hold, args=(tmp_path / "taken", send))
    process.start()
    ready.recv()
    yield tmp_path / "taken"
    process.kill()
    process.join()


@pytest.fixture
def words(fbench: Fbench, world: dict[str, Path], tmp_path: Path) -> dict[str, list[Any]]:
    """A command line of each command that writes a folder, without the folder."""
    light = f"{world['scorers']}:Light"
    small = ["--base", world["base"], "--prompts", world["prompts"], "--steps", 1, "--images-per-prompt", 2]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.txt").write_text("a red star")
    Image.new("RGB", (64, 64)).save(tmp_path / "images" / "a.png")
    fbench("eval", *small, "--scorers", light, "--out", tmp_path / "eval")
    return {
        "demo": [],
        "train": ["--config", world["config"]],
        "sweep": ["--config", world["config"], "--seed", 0, "--seed", 1],
        "pairs": small,
        "eval": [*small, "--scorers", light],
        "score": [tmp_path / "images", "--scorers", light],
        "frontier": [tmp_path / "eval", "--by", "light", "--best-of", 2, "--scales", "none"],
        "regress": ["--divergence", "jensen_shannon"],
    }


@pytest.mark.parametrize("name", WRITERS)
def test_the_second_command_is_refused(
    fbench: Fbench, words: dict[str, list[Any]], taken: Path, name: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in taken.rglob("*")}
    result = fbench(name, *words[name], "--out", taken)
    assert (result.exit_code, result.stdout) == (2, "")
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"error: another command is at work in {taken} (process ")
    assert {path: path.stat().st_mtime_ns for path in taken.rglob("*")} == before


def test_score_looks_at_the_table_that_is_there_under_the_lock(
    refused: Callable[..., str], words: dict[str, list[Any]], taken: Path, tmp_path: Path
) -> None:
    # Looked at before, another model's table could come in between, and be replaced without a word.
    Manifest(kind="another").write(taken)
    assert "is at work in" in refused("score", *words["score"], "--out", taken)


@pytest.mark.parametrize("name", ["train", "pairs", "eval", "score", "frontier"])
@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_the_run_of_another_command_is_not_replaced(
    refused: Callable[..., str], words: dict[str, list[Any]], tmp_path: Path, name: str, option: list[str]
) -> None:
    out = tmp_path / "another"
    Manifest(kind="another").write(out)
    before = (out / FILE_NAME).read_bytes()
    assert "holds a run of `another`" in refused(name, *words[name], *option, "--out", out)
    assert [path.name for path in out.iterdir()] == [FILE_NAME]
    assert (out / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "method"),
    [("train", "trainers.loop:train_step"), ("eval", "benchmark.evaluate.scoring:ScoreCache.write")],
)
def test_a_folder_that_is_removed_meanwhile_is_one_line(
    fbench: Fbench,
    words: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    method: str,
) -> None:
    out = tmp_path / "out"
    work = resolve_name(method)

    def removed(*args: Any) -> Any:
        shutil.rmtree(out, ignore_errors=True)
        return work(*args)

    monkeypatch.setattr(method.replace(":", "."), removed)
    result = fbench(name, *words[name], "--out", out)
    assert result.exit_code == 2
    line = result.stderr.splitlines()[-1]
    assert line == f"error: {out} was removed while this command was writing there; give it once more"
