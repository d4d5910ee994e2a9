"""Work that is done in processes of its own; plain functions, so that a process starts in a second."""

import multiprocessing as mp
import operator
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.errors import InUseError, UserError
from benchmark.core.interrupts import terminable
from benchmark.core.locks import NAME, held
from benchmark.workflows.workers import run_workers


def test_answers_come_from_other_processes_in_the_order_of_the_jobs() -> None:
    own, parents = run_workers(operator.methodcaller("__call__"), [os.getpid, os.getppid])
    assert own != os.getpid()
    assert parents == os.getpid()


def test_a_worker_that_dies_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="ended early; run the same command again"):
        run_workers(operator.methodcaller("read_text"), [Path("/nowhere/at/all")])
    assert "FileNotFoundError" in capfd.readouterr().err


def test_one_workers_error_does_not_wait_for_the_others(tmp_path: Path) -> None:
    never = AT_WORK.format(folder=str(tmp_path / "held"))
    with pytest.raises(UserError, match="No space left on device|the disk is full"):
        run_workers(exec, [never, "import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"])
    assert _is_free(tmp_path / "held")


AT_WORK = """
import pathlib, signal
from benchmark.core.locks import held
with held(pathlib.Path({folder!r}), 0):
    signal.pause()
"""


def _parent(folders: list[Path]) -> None:
    with terminable():
        run_workers(exec, [AT_WORK.format(folder=str(folder)) for folder in folders])


def _is_free(folder: Path) -> bool:
    try:
        with held(folder, 0):
            return True
    except InUseError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    parent = mp.get_context("fork").Process(target=_parent, args=(folders,))
    parent.start()
    assert parent.pid is not None
    _wait(lambda: all((folder / NAME).is_file() and not _is_free(folder) for folder in folders))
    os.kill(parent.pid, number)
    parent.join()
    # Who was terminated tidied up; who was killed left the file of a lock that nobody holds.
    assert all((folder / NAME).exists() == (number == signal.SIGKILL) for folder in folders)
    _wait(lambda: all(_is_free(folder) for folder in folders))


def _wait(until: Callable[[], bool]) -> None:
    """Far longer than it takes; the test says that it ends, not when."""
    limit = time.monotonic() + 120
    while not until():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_what_the_system_refuses_a_worker_is_the_parents_one_line() -> None:
    with pytest.raises(UserError, match="No space left on device|the disk is full"):
        run_workers(exec, ["import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"])
