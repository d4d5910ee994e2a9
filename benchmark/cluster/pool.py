"""A fixed pool of workers that goes through units of work, whatever dies meanwhile.

A unit whose worker dies is done again by another, at most so many times; then it is given up and told. A
worker that dies is begun anew where the cluster has room. Nothing waits in silence: when no unit ends for a
while, a line says on what.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from benchmark.cluster.actor import Actor, Begun, Done, Failed, Hold, Prepare, Refused
from benchmark.cluster.connection import first_line, import_ray, refuse_lost_head
from benchmark.cluster.environments import python_with
from benchmark.cluster.needs import Needs, workers_that_fit
from benchmark.cluster.queue import Queue, Unit
from benchmark.cluster.settings import Cluster, Surroundings
from benchmark.core.console import notice
from benchmark.core.errors import UserError

_LOOK: Final = 1.0
"""Seconds between two looks at what is overdue."""
_STALL: Final = 60.0
"""Seconds without an end of any unit after which a line says what is waited for; then twice as many."""
_START: Final = 600.0
"""Seconds in which some worker begins, or has room, or the command ends; or the patience, if that is more."""
_ROOM: Final = 3600.0
"""The most of these seconds, however patient the user is with units."""
_IDLE: Final = 1.0
"""Seconds without a unit after which a worker is asked whether it is there before it gets one."""
_HEAD: Final = 5.0
"""Seconds between two looks at the head."""


Answered: TypeAlias = Callable[[Unit, Any, "Worker"], Iterable[Unit]]
"""Told of a unit's answer; gives units that follow from it."""
Lost: TypeAlias = Callable[[Unit, str], Iterable[Unit]]
"""Told of a unit that was given up, and why; gives units to be tried in its place."""


@dataclass(eq=False)
class Worker:
    """One place of the pool.

    Attributes:
        number: From 1.
        node: The machine it runs on, once it does.
        restarts: How often it began anew.
        units: Units that it finished.
        seconds: What the last one took.
        failed_starts: How often in a row it could not begin; after too many it stays empty.
    """

    number: int
    node: str = ""
    restarts: int = 0
    units: int = 0
    seconds: float = 0.0
    failed_starts: int = 0
    actor: Any = None
    waiting: Any = None
    ready: bool = False
    unit: Unit | None = None
    since: float = field(default_factory=time.monotonic)
    group: str = ""


class Pool:
    """Workers of one kind.

    Args:
        cluster: How they are used; the connection to it is open.
        needs: What each asks for.
        prepare: What each does once.
        hold: Done before, as of `benchmark.cluster.machines.Standard`.

    Raises:
        UserError: if no machine of the cluster has room for one.
    """

    def __init__(self, cluster: Cluster, needs: Needs, prepare: Prepare[Any, Any], hold: Hold) -> None:
        self._cluster, self.needs, self._prepare, self._hold = cluster, needs, prepare, hold
        self.workers = [Worker(i + 1) for i in range(workers_that_fit(cluster, needs))]
        if cluster.workers and len(self.workers) < cluster.workers:
            notice(f"--workers is {cluster.workers}, and the cluster has room for {len(self.workers)}")
        self._surroundings = Surroundings.of(cluster, hide_gpus=not needs.gpus)
        packages = needs.packages
        self._python = python_with(packages, self._surroundings) if packages else ""
        self._tries: dict[Unit, int] = {}
        self._moved = self._head_seen = time.monotonic()
        self._finished = self._stalls = 0

    def begin(self, units: int) -> None:
        """Begins workers for so many units, so that they are there when these come."""
        self._begin_workers(units)

    def run(self, units: Iterable[Unit], answered: Answered, lost: Lost, *, proven: bool = False) -> None:
        """Does units and those that follow from them; returns when there are none left.

        Args:
            units: In the order in which they had better be done.
            answered: Told of each answer.
            lost: Told of each unit that was given up.
            proven: Whether the cluster has done work before: then units are to blame that all fail.

        Raises:
            UserError: what a user can put right, from whichever worker; or if the head of the cluster is
                gone, no worker can begin, or every one dies.
            RuntimeError: if units fail and none succeeds: that is a bug and no bad luck.
        """
        queue = Queue(units)
        self._moved, self._finished = time.monotonic(), int(proven)
        while len(queue) or any(worker.unit for worker in self.workers):
            self._begin_workers(len(queue))
            self._hand_out(queue)
            for worker, outcome in self._ended():
                queue.extend(self._take(worker, outcome, answered, lost))
            self._look_around()

    def close(self) -> None:
        """Ends all workers."""
        for worker in self.workers:
            self._end(worker)

    def _begin_workers(self, units: int) -> None:
        ray = import_ray()
        idle = sum(worker.actor is not None and worker.unit is None for worker in self.workers)
        for worker in self.workers:
            if worker.actor is not None or idle >= units or self._is_given_up(worker):
                continue
            idle += 1
            options: dict[str, Any] = {"num_cpus": self.needs.cpus, "num_gpus": self.needs.gpus}
            if self.needs.memory:
                options["memory"] = self.needs.memory
            if self._python:
                options["runtime_env"] = {"py_executable": self._python}
            # Dead is dead: Ray must not begin it again behind our back, without its preparation.
            worker.actor = ray.remote(Actor).options(max_restarts=0, max_task_retries=0, **options).remote()
            worker.waiting = worker.actor.start.remote(self._surroundings, self._hold, self._prepare)
            worker.ready, worker.since = False, time.monotonic()

    def _hand_out(self, queue: Queue) -> None:
        for worker in self.workers:
            if not len(queue) or not worker.ready or worker.waiting is not None:
                continue
            if time.monotonic() - worker.since > _IDLE:
                # It may have died in its sleep, and the unit would be blamed.
                worker.waiting = worker.actor.wake.remote()
            else:
                unit = queue.take(worker.group, Counter(w.group for w in self.workers if w.unit))
                worker.unit, worker.group, worker.since = unit, unit.group, time.monotonic()
                worker.waiting = worker.actor.do.remote(unit.task)

    def _ended(self) -> Iterator[tuple[Worker, "Done[Any] | Refused | Failed | str"]]:
        """The workers that answered or died, with what they said or why they died."""
        ray = import_ray()
        by_ref = {worker.waiting: worker for worker in self.workers if worker.waiting is not None}
        if not by_ref:
            time.sleep(_LOOK)
            return
        ended, _ = ray.wait(list(by_ref), num_returns=1, timeout=_LOOK)
        for ref in ended:
            worker = by_ref[ref]
            worker.waiting = None
            try:
                yield worker, ray.get(ref)
            except ray.exceptions.RayError as error:
                yield worker, first_line(error)

    def _take(
        self, worker: Worker, outcome: "Done[Any] | Refused | Failed | str", answered: Answered, lost: Lost
    ) -> Iterable[Unit]:
        unit, worker.unit, worker.since = worker.unit, None, time.monotonic()
        self._moved, self._stalls = worker.since, 0
        if isinstance(outcome, Refused):
            raise outcome.error
        if isinstance(outcome, Done):
            if unit is None:
                begun: Begun = outcome.answer
                worker.ready, worker.node, worker.failed_starts = True, begun.node, 0
                notice(begun.remark)
                return ()
            self._finished += 1
            worker.units, worker.seconds = worker.units + 1, outcome.seconds
            return answered(unit, outcome.answer, worker)
        asleep = worker.ready and unit is None
        # What failed may have left its process in a state that fails everything after it.
        self._end(worker)
        worker.restarts += 1
        why = outcome if isinstance(outcome, str) else outcome.why
        trace = outcome.trace if isinstance(outcome, Failed) else ""
        if asleep:
            notice(f"worker {worker.number} died with nothing to do ({why}); it is begun again")
        elif unit is None:
            self._refuse_starts(worker, why, trace)
        if unit is None:
            return ()
        return self._again(unit, worker, why, trace, lost)

    def _again(self, unit: Unit, worker: Worker, why: str, trace: str, lost: Lost) -> Iterable[Unit]:
        tried = self._tries[unit] = self._tries.get(unit, 0) + 1
        if tried <= self._cluster.retries:
            notice(f"worker {worker.number} lost {unit.words} ({why}); it is done again")
            return (unit,)
        if not self._finished:
            tale = f"{unit.words} failed {tried} times, and nothing has succeeded"
            if trace:
                raise RuntimeError(f"{tale}:\n{trace}")
            raise UserError(f"{tale}: {why}", do="look at the memory and the logs of the machines")
        notice(f"{unit.words} is given up after {tried} tries: {why}")
        return lost(unit, f"given up after {tried} tries: {why}")

    def _refuse_starts(self, worker: Worker, why: str, trace: str) -> None:
        """Begins a worker again some times; then it is left out, and the others go on."""
        worker.failed_starts += 1
        if not self._is_given_up(worker):
            notice(f"worker {worker.number} could not begin ({why}); it is begun again")
            return
        if not all(self._is_given_up(one) for one in self.workers):
            notice(
                f"worker {worker.number} could not begin {worker.failed_starts} times ({why}); it is left out"
            )
            return
        if trace:
            raise RuntimeError(f"no worker can begin:\n{trace}")
        raise UserError(f"no worker can begin on the Ray cluster ({why})", do="look at its machines and logs")

    def _is_given_up(self, worker: Worker) -> bool:
        return worker.failed_starts > self._cluster.retries

    def _look_around(self) -> None:
        now = time.monotonic()
        if now - self._head_seen > _HEAD:
            refuse_lost_head()
            self._head_seen = now
        for worker in self.workers:
            if worker.unit is not None and now - worker.since > self._cluster.patience:
                notice(
                    f"worker {worker.number} has been at {worker.unit.words} for {now - worker.since:.0f} s"
                )
                # Its task now ends with the actor's death, which is taken as any other.
                import_ray().kill(worker.actor)
                worker.since = now
        silent = now - self._moved
        if silent > _STALL * 2**self._stalls:
            self._stalls += 1
            notice(f"no unit has ended for {silent:.0f} s: {self._waits()}")
        room = min(max(self._cluster.patience, _START), _ROOM)
        if silent > room and not any(worker.unit for worker in self.workers):
            raise UserError(
                f"no worker was there for {silent:.0f} s: {self._waits()}", do="the same command goes on"
            )

    def _waits(self) -> str:
        """What is waited for, in words."""
        now = time.monotonic()
        found = [
            f"worker {w.number} has been at {w.unit.words} for {now - w.since:.0f} s"
            for w in self.workers
            if w.unit is not None
        ]
        begun = [w for w in self.workers if w.actor is not None and not w.ready]
        if begun:
            free = import_ray().available_resources()
            has = ", ".join(f"{free.get(name, 0.0):g} {name}" for name in ("CPU", "GPU"))
            found.append(
                f"{len(begun)} workers of {self.needs.words()} wait to begin; the cluster has {has} free"
            )
        more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
        return "; ".join(found[:4]) + more

    def _end(self, worker: Worker) -> None:
        if worker.actor is not None:
            with suppress(Exception):  # it may be dead, or its cluster
                import_ray().kill(worker.actor)
        worker.actor = worker.waiting = None
        worker.ready = False
