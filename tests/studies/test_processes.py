"""Work that is done in processes of its own; plain functions, so that a process starts in a second."""

import operator
import os
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.studies.processes import run_workers


def test_answers_come_from_other_processes_in_the_order_of_the_jobs() -> None:
    own, parents = run_workers(operator.methodcaller("__call__"), [os.getpid, os.getppid])
    assert own != os.getpid()
    assert parents == os.getpid()


def test_a_worker_that_dies_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="ended early; run the same command again"):
        run_workers(operator.methodcaller("read_text"), [Path("/nowhere/at/all")])
    assert "FileNotFoundError" in capfd.readouterr().err
