"""Machines that differ are refused by name, before any work begins."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.cluster.connection import connected
from benchmark.cluster.machines import Account, compare_machines, other_hardware, refuse_unlike
from benchmark.cluster.settings import Cluster
from benchmark.core.errors import UserError

OWN = Account("head", code="abc", packages={"torch": "2.14.1", "numpy": "2.4"}, weights={"clip": "1@11"})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            replace(OWN, sees=False),
            "machine b does not see what is written to /out; allowed: an --out that all",
        ),
        (replace(OWN, code="abd"), "machine b has other code of fbench than head"),
        (
            replace(OWN, packages={"torch": "2.15.0", "numpy": "2.4"}),
            "machine b has other packages than head: torch 2.15.0 for 2.14.1",
        ),
        (replace(OWN, packages={"numpy": "2.4"}), "torch none for 2.14.1"),
        (replace(OWN, weights={"clip": "1@12"}), "machine b has other weights than head: clip 1@12 for 1@11"),
        (replace(OWN, trouble="No such file: /x"), "machine b cannot work: No such file: /x"),
    ],
)
def test_what_differs_is_said(other: Account, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        refuse_unlike(OWN, [OWN, replace(other, name="b")], Path("/out"))
    assert said in " ".join(str(refusal.value).split())


def test_machines_of_several_kinds_are_named() -> None:
    """Where some have GPUs, a head without any computes nothing."""
    head, old, new = (
        Account("head", processor="cpu AVX2"),
        Account("a", gpus="A100"),
        Account("b", gpus="H100"),
    )
    assert other_hardware([head, old, old]) == other_hardware([head]) == other_hardware([]) == ""
    assert other_hardware([head, old, new]).startswith("a has A100, b has H100: images may differ")
    assert "other has cpu AVX512" in other_hardware([head, Account("other", processor="cpu AVX512")])


def test_machines_that_share_a_folder_are_asked_and_leave_nothing(
    two_machines: Cluster, tmp_path: Path
) -> None:
    with connected(two_machines):
        compare_machines(replace(two_machines, scratch=tmp_path / "scratch"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert (tmp_path / "scratch" / "tmp").is_dir()


def test_a_scratch_that_cannot_be_is_refused_with_the_machines_name(
    two_machines: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with connected(two_machines), pytest.raises(UserError, match=r"machine \S+ cannot work: .*file/cache"):
        compare_machines(replace(two_machines, scratch=tmp_path / "file"), tmp_path / "out")
