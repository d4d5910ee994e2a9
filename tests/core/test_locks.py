"""Two commands never write into one folder at the same time; a dead owner keeps nobody out."""

import json
import multiprocessing as mp
import os
import platform
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from benchmark.core import store
from benchmark.core.errors import InUseError, UserError
from benchmark.core.locks import NAME, held

Other = Callable[..., int]


def _hold(folder: Path, settings: object, shared: bool, name: str, ready: Connection) -> None:
    with held(folder, settings, shared=shared, name=name):
        ready.send(os.getpid())
        signal.pause()


@contextmanager
def at_work(folder: Path, settings: object, *, shared: bool = False, name: str = NAME) -> Iterator[int]:
    """Another process that holds a folder, until it is killed; its id."""
    ready, send = mp.Pipe(duplex=False)
    process = mp.get_context("fork").Process(target=_hold, args=(folder, settings, shared, name, send))
    process.start()
    try:
        yield ready.recv()
    finally:
        process.kill()
        process.join()


def test_the_second_is_refused_in_a_line_that_names_the_first(tmp_path: Path) -> None:
    with at_work(tmp_path / "run", {"seed": 0}) as pid:
        with pytest.raises(InUseError) as caught, held(tmp_path / "run", {"seed": 5}):
            pass
        line = str(caught.value)
        assert f"process {pid} on {platform.node()}, since 2" in line
        assert line.startswith(f"another command is at work in {tmp_path / 'run'}")
        with (
            pytest.raises(InUseError, match="the same command is at work"),
            held(tmp_path / "run", {"seed": 0}),
        ):
            pass
    # It was killed: what it left keeps nobody out.
    assert (tmp_path / "run" / NAME).is_file()
    with held(tmp_path / "run", {"seed": 5}):
        assert json.loads((tmp_path / "run" / NAME).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("note", [b"", b"{", b"\xff\xfe", b'{"pid": 1}', b"[]"])
def test_a_note_that_cannot_be_read_neither_frees_nor_blocks(tmp_path: Path, note: bytes) -> None:
    (tmp_path / NAME).write_bytes(note)
    with held(tmp_path, {}):
        pass
    with at_work(tmp_path, {}):
        (tmp_path / NAME).write_bytes(note)
        with pytest.raises(InUseError, match="another command is at work"), held(tmp_path, {}):
            pass


def test_parts_of_one_command_share_a_folder_and_keep_others_out(tmp_path: Path) -> None:
    with at_work(tmp_path, {"seed": 0}, shared=True):
        with held(tmp_path, {"seed": 0}, shared=True):
            pass
        for settings, shared in (({"seed": 5}, True), ({"seed": 0}, False)):
            with pytest.raises(InUseError), held(tmp_path, settings, shared=shared):
                pass
    with at_work(tmp_path, {"seed": 0}), pytest.raises(InUseError), held(tmp_path, {"seed": 0}, shared=True):
        pass


def test_parts_that_begin_and_end_side_by_side_never_refuse_each_other(tmp_path: Path) -> None:
    # Who begins or ends is alone for a moment.
    processes = [mp.get_context("fork").Process(target=_come_and_go, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3


def _come_and_go(folder: Path) -> None:
    for _ in range(50):
        with held(folder, {"seed": 0}, shared=True):
            pass


def test_a_lock_of_another_name_is_exclusive_and_clears_nothing(tmp_path: Path) -> None:
    (tmp_path / ".x.77.part.npy").write_text("half")
    mine = ".lock-1-of-2"
    with at_work(tmp_path, {}, shared=True), at_work(tmp_path, {}, name=mine):
        with pytest.raises(InUseError, match="the same command is at work"), held(tmp_path, {}, name=mine):
            pass
        with held(tmp_path, {}, shared=True), held(tmp_path, {}, name=".lock-2-of-2"):
            assert (tmp_path / ".x.77.part.npy").is_file()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with held(tmp_path / "deep" / "run", {}):
        assert (tmp_path / "deep" / "run" / NAME).is_file()
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path / "run", {}), held(tmp_path / "run", {}, name=".lock-1-of-2"):
        store.write_text(tmp_path / "run" / "x.txt", "kept")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["x.txt"]


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_is_removed_is_no_success(tmp_path: Path, again: bool) -> None:
    with pytest.raises(UserError, match="was removed while this command"), held(tmp_path / "run", {}):
        shutil.rmtree(tmp_path / "run")
        if again:
            (tmp_path / "run").mkdir()
    assert not (tmp_path / "run" / NAME).exists()


def test_nothing_is_written_into_a_folder_that_was_removed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was removed"), held(tmp_path / "run", {}):
        shutil.rmtree(tmp_path / "run")
        for write in (store.atomic_file, store.atomic_folder):
            with pytest.raises(UserError, match="was removed"), write(tmp_path / "run" / "x"):
                pass
        assert not (tmp_path / "run").exists()
        raise RuntimeError("whatever fails then, the folder is why")


def test_who_holds_a_folder_alone_clears_what_the_dead_left_there(tmp_path: Path) -> None:
    mine, theirs, named = (tmp_path / name for name in (".features", "frontier", "other"))
    for folder, mark in ((mine, "kept.npy"), (theirs, NAME), (named, "manifest.json")):
        folder.mkdir()
        (folder / mark).write_text("")
        (folder / ".x.77.part.npy").write_text("half")
    with held(tmp_path, {}, shared=True):
        assert (mine / ".x.77.part.npy").is_file()
    with held(tmp_path, {}):
        assert [path.name for path in mine.iterdir()] == ["kept.npy"]
        assert (theirs / ".x.77.part.npy").is_file()
        assert (named / ".x.77.part.npy").is_file()
