"""The pool: every unit is answered or given up, whatever dies, and nothing waits in silence."""

import math
import os
import platform
import re
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.cluster import pool as pools
from benchmark.cluster.connection import connected
from benchmark.cluster.jobs import run_jobs
from benchmark.cluster.needs import Needs
from benchmark.cluster.pool import Pool, Worker
from benchmark.cluster.queue import Unit
from benchmark.cluster.settings import Cluster
from benchmark.core.console import is_spoken_for
from benchmark.core.errors import UserError

pytestmark = pytest.mark.usefixtures("by_value")


def _prepare() -> Callable[[Callable[[], Any]], Any]:
    return lambda act: act()


@dataclass(frozen=True)
class Dies:
    """Kills its process the first so many times."""

    marks: Path
    times: int

    def __call__(self) -> str:
        tries = len(list(self.marks.iterdir()))
        if tries < self.times:
            (self.marks / str(tries)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"


def _fine() -> str:
    """What a worker finds on its machine: nothing unusual."""
    return ""


def _refused() -> None:
    raise UserError("this is wrong", do="do that")


def _endless() -> None:
    signal.pause()


class Holder:
    """An actor that holds its core."""

    def holds(self) -> bool:
        """Answers once it does."""
        return True


@dataclass(frozen=True)
class FirstAlone:
    """Lets the first worker begin and no other, as where the other machine is broken."""

    mark: Path

    def __call__(self) -> Callable[[Callable[[], Any]], Any]:
        self.mark.touch(exist_ok=False)
        return lambda act: act()


def _slow() -> None:
    time.sleep(3)


def _bug() -> None:
    raise ZeroDivisionError("a bug of ours")


@dataclass
class Outcome:
    """What came of some units, by their words."""

    answers: dict[str, Any]
    lost: dict[str, str]
    pids: set[int]


def run(
    cluster: Cluster, units: dict[str, Callable[[], Any]], prepare: Any = _prepare, *, proven: bool = False
) -> Outcome:
    outcome = Outcome({}, {}, set())

    def answered(unit: Unit, answer: Any, worker: Worker) -> Iterable[Unit]:
        outcome.answers[unit.words] = answer
        return ()

    def lost(unit: Unit, why: str) -> Iterable[Unit]:
        outcome.lost[unit.words] = why
        return ()

    with connected(cluster):
        pool = Pool(cluster, Needs(), prepare, _fine)
        try:
            pool.run([Unit(words, act) for words, act in units.items()], answered, lost, proven=proven)
        finally:
            pool.close()
    return outcome


def test_a_unit_whose_worker_dies_is_done_again_and_given_up_after_the_retries(
    two_machines: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    units: dict[str, Callable[[], Any]] = {f"plain {i}": os.getpid for i in range(4)}
    for name, times in (("unlucky", 2), ("hopeless", 99)):
        (tmp_path / name).mkdir()
        units[name] = Dies(tmp_path / name, times)
    outcome = run(replace(two_machines, retries=2), units)
    assert outcome.answers["unlucky"] == "done"
    assert outcome.answers.keys() == units.keys() - {"hopeless"}
    assert outcome.lost.keys() == {"hopeless"}
    assert "given up after 3 tries" in outcome.lost["hopeless"]
    # Once and twice again, as asked.
    assert len(list((tmp_path / "hopeless").iterdir())) == 3
    said = capfd.readouterr().err
    assert said.count("lost unlucky") == said.count("lost hopeless") == 2


def test_a_worker_that_cannot_begin_is_left_out_and_the_others_go_on(
    two_machines: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    units: dict[str, Callable[[], Any]] = {f"slow {i}": _slow for i in range(6)}
    outcome = run(replace(two_machines, retries=1), units, FirstAlone(tmp_path / "mark"))
    assert outcome.answers.keys() == units.keys()
    said = capfd.readouterr().err
    assert said.count("it is begun again") == 1
    assert said.count("could not begin 2 times (FileExistsError") == said.count("it is left out") == 1


def _all(acts: tuple[Callable[[], Any], ...]) -> list[Any]:
    return [act() for act in acts]


def test_a_job_that_ends_every_worker_is_done_in_parts(two_machines: Cluster, tmp_path: Path) -> None:
    """As members of a sweep that are trained together: one that cannot be leaves the others alone."""
    (tmp_path / "marks").mkdir()

    def lost(_job: object, why: str) -> list[Any]:
        # The pool says who is at what for how long, and nobody else that the command is at work.
        assert is_spoken_for()
        return [why]

    answers = run_jobs(
        replace(two_machines, retries=1),
        _all,
        [(Dies(tmp_path / "marks", 99), platform.node), (platform.system,)],
        lost,
        parts=lambda job: [(act,) for act in job],
        out=tmp_path / "out",
        words=lambda job: f"{len(job)} acts",
    )
    assert answers[0].startswith("given up after 2 tries")
    assert answers[1:] == [platform.node(), platform.system()]


def test_what_a_user_can_put_right_ends_everything_at_once(two_machines: Cluster) -> None:
    with pytest.raises(UserError, match="this is wrong; do that"):
        run(two_machines, {"refused": _refused, "plain": platform.node})


def test_a_bug_is_a_traceback_and_no_bad_luck(two_machines: Cluster) -> None:
    with pytest.raises(RuntimeError, match="(?s)nothing has succeeded.*in _bug.*a bug of ours"):
        run(replace(two_machines, retries=1), {"bug": _bug})


def test_workers_that_all_die_end_the_command(two_machines: Cluster, tmp_path: Path) -> None:
    """Unless such work has been done before: then the unit is to blame, and is given up as any other."""
    cluster = replace(two_machines, retries=0)
    with pytest.raises(UserError, match="hopeless failed 1 times, and nothing has succeeded: .*memory"):
        run(cluster, {"hopeless": Dies(tmp_path, 99)})
    assert run(cluster, {"hopeless": Dies(tmp_path, 99)}, proven=True).lost.keys() == {"hopeless"}


def test_a_worker_that_dies_with_nothing_to_do_costs_no_try(
    two_machines: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster = replace(two_machines, workers=1, retries=0)
    answers: list[int] = []

    def answered(unit: Unit, pid: int, worker: Worker) -> Iterable[Unit]:
        answers.append(pid)
        if len(answers) > 1:
            return ()
        os.kill(pid, signal.SIGKILL)
        time.sleep(1.5 * pools._IDLE)
        return [Unit("second", os.getpid)]

    with connected(cluster):
        pool = Pool(cluster, Needs(), _prepare, _fine)
        try:
            pool.run([Unit("first", os.getpid)], answered, lambda unit, why: pytest.fail(why))
        finally:
            pool.close()
    assert len(set(answers)) == 2
    assert capfd.readouterr().err.count("worker 1 died with nothing to do") == 1


def test_a_unit_that_does_not_end_is_taken_from_its_worker_and_said_meanwhile(
    two_machines: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pools, "_STALL", 1.5)
    units = {"endless": _endless, "plain": platform.node}
    outcome = run(replace(two_machines, retries=0, patience=4.0), units)
    assert outcome.lost.keys() == {"endless"}
    said = capfd.readouterr().err
    assert "no unit has ended for" in said
    assert re.search(r"worker \d has been at endless", said)


def test_workers_that_have_no_room_are_said_and_not_waited_for_for_ever(
    two_machines: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody else's actors hold all cores: units of such a cluster wait without a word in Ray itself.

    A sweep has no limit for its units, and still does not wait for room without end.
    """
    import ray

    monkeypatch.setattr(pools, "_STALL", 1.0)
    monkeypatch.setattr(pools, "_ROOM", 4.0)
    ray.init(address=two_machines.address, logging_level="ERROR", log_to_driver=False)
    others = [ray.remote(num_cpus=1)(Holder).remote() for _ in range(2)]
    # What is free is no sign: the cores may still be those of workers that were ended a moment ago.
    ray.get([other.holds.remote() for other in others])
    try:
        with pytest.raises(
            UserError, match="no worker was there for .* wait to begin; the cluster has 0 CPU"
        ):
            run(replace(two_machines, patience=math.inf), {"plain": platform.node})
    finally:
        for other in others:
            ray.kill(other)
    assert "workers of 1 CPU wait to begin" in capfd.readouterr().err


@pytest.mark.parametrize("asked", [Needs(gpus=1.0), Needs(cpus=2)])
def test_a_worker_that_no_machine_can_take_is_refused(two_machines: Cluster, asked: Needs) -> None:
    with (
        connected(two_machines),
        pytest.raises(UserError, match=r"has room for a worker of .*has 1 CPU, 0 GPU"),
    ):
        Pool(two_machines, asked, _prepare, _fine)
