"""Work that is done in processes of its own; plain functions, so that a process starts in a second."""

import operator
import os
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.studies.workers import longest, run_workers


def test_answers_come_in_the_order_of_the_jobs_from_other_processes() -> None:
    assert run_workers(operator.methodcaller("upper"), ["a", "b"]) == ["A", "B"]
    (pid,) = run_workers(operator.methodcaller("__call__"), [os.getpid])
    assert pid != os.getpid()


def test_a_worker_that_dies_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="ended early; run the same command again"):
        run_workers(operator.methodcaller("read_text"), [Path("/nowhere/at/all")])
    assert "FileNotFoundError" in capfd.readouterr().err


def test_parts_take_as_long_as_the_slowest_worker() -> None:
    assert longest([{"train": 2.0, "score": 1.0}, {"train": 3.0}]) == {"train": 3.0, "score": 1.0}
