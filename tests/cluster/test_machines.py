"""Machines that differ are refused by name, before any work begins."""

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.cluster.connection import alive_nodes, ask_machines, connected
from benchmark.cluster.machines import Account, compared_machines, other_hardware, refuse_unlike
from benchmark.cluster.needs import Needs
from benchmark.cluster.pool import Pool, Worker
from benchmark.cluster.queue import Unit
from benchmark.cluster.settings import Cluster
from benchmark.core.errors import UserError
from tools.bench.local_cluster import OBJECTS

OWN = Account("head", code="abc", packages={"torch": "2.14.1", "numpy": "2.4"}, contents={"clip": "1@11"})


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
        (
            replace(OWN, contents={"clip": "1@12", "base sd15": "7f"}),
            "machine b has other weights or data than the others: clip 1@12 for 1@11; make them the same",
        ),
        (replace(OWN, trouble="No such file: /x"), "machine b cannot work: No such file: /x"),
    ],
)
def test_what_differs_is_said(other: Account, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        refuse_unlike(OWN, replace(other, name="b"), Path("/out"))
    assert said in " ".join(str(refusal.value).split())


@pytest.mark.parametrize("contents", [{"clip": "1@11"}, {"clip": "1@11", "base sd15": "7f"}, {}])
def test_what_a_machine_has_yet_to_fetch_is_no_difference(contents: dict[str, str]) -> None:
    other = replace(OWN, name="b", contents=contents)
    refuse_unlike(OWN, other, Path("/out"))
    with pytest.raises(UserError, match="other weights or data"):
        refuse_unlike(OWN, replace(other, contents={**contents, "clip": "1@12"}), Path("/out"))


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
    cluster = replace(two_machines, scratch=tmp_path / "scratch")
    with connected(two_machines), compared_machines(cluster, tmp_path / "out") as standard:
        assert len(standard.nodes) == len(standard.machines) == 2
    assert list((tmp_path / "out").iterdir()) == []
    assert (tmp_path / "scratch" / "tmp").is_dir()


def test_a_scratch_that_cannot_be_is_refused_with_the_machines_name(
    two_machines: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    cluster = replace(two_machines, scratch=tmp_path / "file")
    with (
        connected(two_machines),
        pytest.raises(UserError, match=r"machine \S+ cannot work: .*file/cache"),
        compared_machines(cluster, tmp_path / "out"),
    ):
        pytest.fail("it began")


def test_a_scratch_that_cannot_be_is_refused_before_a_cluster_of_ones_own_begins_workers(
    two_machines: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with (
        connected(two_machines),
        pytest.raises(UserError, match=r"--scratch is .*file \(cannot make .*file/cache: Not a directory"),
        compared_machines(Cluster("local", scratch=tmp_path / "file"), tmp_path / "out"),
    ):
        pytest.fail("it began")


@dataclass(frozen=True)
class Weights:
    """The contents of a machine: what a file says now."""

    file: Path

    def __call__(self) -> dict[str, str]:
        return {"base": self.file.read_text()}


def _prepare() -> Callable[[Callable[[], Any]], Any]:
    return lambda act: act()


def _work(cluster: Cluster, needs: Needs, hold: Callable[[], str]) -> list[str]:
    """The answers of a pool."""
    answers: list[str] = []

    def answered(unit: Unit, answer: str, worker: Worker) -> Iterable[Unit]:
        answers.append(answer)
        return ()

    pool = Pool(cluster, needs, _prepare, hold)
    try:
        pool.run([Unit("name", platform.node)], answered, lambda unit, why: pytest.fail(why))
    finally:
        pool.close()
    return answers


@pytest.mark.usefixtures("by_value")
def test_a_machine_that_joins_later_is_held_against_the_others_and_one_that_goes_is_left_out(
    two_machines: Cluster, ray_cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    weights = Weights(tmp_path / "weights")
    weights.file.write_text("as they were")
    cluster = replace(two_machines, retries=0)
    with connected(cluster), compared_machines(cluster, tmp_path / "out", weights) as standard:
        # The only one that has room for such a worker.
        third, its = ray_cluster.add_node(num_cpus=2, object_store_memory=OBJECTS), Needs(cpus=2)
        ray_cluster.wait_for_nodes()
        # It is used, and its hardware named where none of the others has it.
        others = replace(standard, machines=(Account("a", processor="something else"),))
        assert _work(cluster, its, others.hold) == [platform.node()]
        assert capfd.readouterr().err.count("a has something else, ") == 1

        weights.file.write_text("other ones")
        with pytest.raises(UserError, match="no worker can begin .*base other ones for as they were"):
            _work(cluster, its, standard.hold)
        # Those of the first hour are not asked again.
        nodes = alive_nodes()
        first = [node for node in nodes if node["NodeID"] in standard.nodes]
        assert ask_machines(standard.hold, first, 600, "is asked") == [(node, "") for node in first]

        ray_cluster.remove_node(third, allow_graceful=False)
        answers = ask_machines(platform.node, nodes, 600, "is asked")
        assert [node["NodeID"] for node, _ in answers] == [node["NodeID"] for node in first]
        assert "is gone" in capfd.readouterr().err
    ray_cluster.wait_for_nodes(timeout=120)
