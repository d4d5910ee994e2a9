"""A mutant, the lists of them, and what the tests say of one."""

import importlib
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmark.core.errors import UserError

ROOT: Final = Path(__file__).resolve().parents[2]
_COPIED: Final = ("trainers", "tests", "conftest.py", "pyproject.toml", "fbench.py")
_LINKED: Final = ("benchmark", "docs", "prompts", "results", "README.md")

_SHARED: Final = (
    "beartype", "benchmark.cli.app", "benchmark.core.config", "hypothesis", "jaxtyping", "mpmath", "numpy",
    "PIL.Image", "pyarrow.parquet", "pydantic", "pytest", "sympy", "torch", "typer.testing",
)  # fmt: skip
"""Imported once in a worker, and then there in each of its forks; what mutants change must not be."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: Below the checkout's `trainers/`.
        old: A text that occurs in it exactly once.
        new: What takes its place.
        equivalent: Why no test can tell the difference; empty where one must.
    """

    file: str
    old: str
    new: str
    equivalent: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {' '.join(self.old.split())}  ->  {' '.join(self.new.split())}"


@dataclass(frozen=True)
class Job:
    """A mutant and the tests that it is up against; plain, so that a worker process can have it."""

    mutant: Mutant
    tests: tuple[str, ...]


def lists() -> dict[str, list[Job]]:
    """The mutants of every module of `tools.mutants.lists`."""
    package = importlib.import_module("tools.mutants.lists")
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        found[info.name] = [Job(mutant, tuple(module.TESTS)) for mutant in module.MUTANTS]
    return found


def occurrences(mutant: Mutant) -> int:
    """How often a mutant's old text stands in its file; a list that has not rotted says 1."""
    return (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)


@contextmanager
def copy_of_checkout() -> Iterator[Path]:
    """A folder with a copy of what mutants change and links to the rest."""
    with tempfile.TemporaryDirectory(prefix="fbench-mutants-") as name:
        folder = Path(name)
        for part in _COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        for part in _LINKED:
            (folder / part).symlink_to(ROOT / part)
        yield folder


def caught_by(job: Job, checkout: Path, timeout: float = 600.0) -> str:
    """The first test that fails on a mutant; empty if it survives.

    Args:
        job: The mutant and its tests.
        checkout: A copy of the checkout; it is as before when this returns.
        timeout: Seconds after which a mutant counts as caught, because the tests no longer end.

    Raises:
        UserError: If the old text does not stand in the file exactly once, or the tests cannot be run.
    """
    place = checkout / job.mutant.file
    content = place.read_text(encoding="utf-8")
    if content.count(job.mutant.old) != 1:
        raise UserError(
            f"{job.mutant.file} has {job.mutant.old!r} {content.count(job.mutant.old)} times, not once"
        )
    place.write_text(content.replace(job.mutant.old, job.mutant.new), encoding="utf-8")
    try:
        for test in sorted(job.tests, key=lambda test: place.stem not in test):  # the likeliest first
            if found := _first_failure(checkout, test, timeout):
                return found
    finally:
        place.write_text(content, encoding="utf-8")
    return ""


def _first_failure(checkout: Path, test: str, timeout: float) -> str:
    """Runs one file of tests in a fork of this process, which has torch in memory and nothing of ours."""
    output = checkout / "pytest.txt"
    child = os.fork()
    if child == 0:
        os._exit(_run_tests(checkout, test, output))
    end = time.monotonic() + timeout
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"{test} does not end"
        time.sleep(0.05)
    if os.waitstatus_to_exitcode(done[1]) == 0:
        return ""
    said = output.read_text(encoding="utf-8")
    failed = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if not failed:
        raise UserError(f"pytest cannot be run on {test}: {said[-300:]}")
    return failed[0].split(" ", 1)[1]


def _run_tests(checkout: Path, test: str, output: Path) -> int:
    import pytest

    try:
        with output.open("w", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file  # where a test of this study is itself under pytest
            os.chdir(checkout)
            sys.path.insert(0, str(checkout))
            sys.dont_write_bytecode = True
            return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(checkout), test]))
    except BaseException:  # noqa: BLE001  whatever it is, the parent must not go on twice
        traceback.print_exc()
        return 70


@dataclass(frozen=True)
class Share:
    """What one worker does: mutants with their numbers."""

    jobs: tuple[tuple[int, Job], ...]


def work(share: Share) -> dict[int, str]:
    """By the number of the mutant, the test that caught it; empty where none did."""
    for name in _SHARED:
        importlib.import_module(name)
    if ours := [name for name in sys.modules if name.split(".")[0] == "trainers"]:
        raise RuntimeError(f"a fork would not see the mutants of {ours[0]}")
    found = {}
    with copy_of_checkout() as checkout:
        for number, job in share.jobs:
            found[number] = caught_by(job, checkout)
            print(f"{'caught  ' if found[number] else 'SURVIVED'} {job.mutant}", flush=True)
    return found
