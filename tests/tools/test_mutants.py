"""The lists of mutants do not rot, and a mutant that matters is caught."""

from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from tools.mutants.running import ROOT, Job, Mutant, caught_by, lists, occurrences

JOBS = [job for jobs in lists().values() for job in jobs]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: str(job.mutant))
def test_the_old_text_stands_in_its_file_once(job: Job) -> None:
    assert occurrences(job.mutant) == 1
    assert job.mutant.old != job.mutant.new
    assert all((ROOT / test).exists() for test in job.tests)


def test_mutants_are_different() -> None:
    assert len({job.mutant for job in JOBS}) == len(JOBS) >= 60


@pytest.mark.parametrize("package", ["divergences", "objectives"])
def test_every_file_of_the_mathematics_has_mutants(package: str) -> None:
    files = {p.relative_to(ROOT).as_posix() for p in (ROOT / "trainers" / package).glob("*.py")}
    without = {f"trainers/{package}/__init__.py", "trainers/divergences/table.py"}  # names, and words
    assert files - without <= {job.mutant.file for job in JOBS}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "doubled.py").write_text("def doubled(x):\n    return 2 * x\n")
    (tmp_path / "test_doubled.py").write_text(
        "from doubled import doubled\n\n\ndef test_it():\n    assert doubled(2) == 4\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("new", "caught"),
    [("3 * x", "test_doubled.py::test_it"), ("x * 2", ""), ("x + 2", ""), ("(", "test_doubled")],
)
def test_a_mutant_is_caught_by_a_test_or_survives(checkout: Path, new: str, caught: str) -> None:
    job = Job(Mutant("doubled.py", "2 * x", new), ("test_doubled.py",))
    found = caught_by(job, checkout)
    assert found.startswith(caught)
    assert bool(found) == bool(caught)
    assert "2 * x" in (checkout / "doubled.py").read_text()  # as before


def test_a_list_that_has_rotted_says_so(checkout: Path) -> None:
    with pytest.raises(UserError, match="0 times, not once"):
        caught_by(Job(Mutant("doubled.py", "5 * x", "x"), ()), checkout)
