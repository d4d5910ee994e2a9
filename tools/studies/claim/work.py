"""Several processes that take unit after unit until all is done or the time is up."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from benchmark.core.console import notice
from benchmark.core.errors import ConfigError, InUseError
from benchmark.core.locks import held
from benchmark.workflows.workers import run_workers
from tools.studies.claim.design import BATCH, STEPS, Design, Member, Unit
from tools.studies.claim.members import TABLE, is_finished, seconds_each, write_member

if TYPE_CHECKING:
    from tools.studies.claim.scoring import Judge

PAIRS_PER_SECOND: Final = 28.0
IMAGES_PER_SECOND: Final = 5.0
"""Made and scored, of one thread beside another one: what is expected until a first part was timed."""


class Clock:
    """Says whether a part of the work still ends in time.

    Args:
        deadline: Seconds since the epoch; None: there is none.
    """

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._slowest: dict[str, float] = {}

    def allows(self, kind: str, amount: float, rate: float) -> bool:
        """Whether a part ends before the deadline, at the slowest rate seen of its kind.

        Args:
            kind: Such as ``train``.
            amount: Of pairs or images.
            rate: Expected, a second, until one was timed.
        """
        each = self._slowest.get(kind, 1 / rate)
        return self._deadline is None or time.time() + amount * each <= self._deadline

    def timed(self, kind: str, amount: float, start: float) -> None:
        """Notes how long a part took."""
        each = (time.time() - start) / amount
        self._slowest[kind] = max(self._slowest.get(kind, 0.0), each)


@dataclass(frozen=True)
class Job:
    """What every worker is given.

    Attributes:
        design: Whose units.
        command: As typed.
        deadline: Seconds since the epoch, after which nothing ends; None: there is none.
        workers: How many there are, for the time that is left.
    """

    design: Design
    command: str
    deadline: float | None = None
    workers: int = 1


def work(job: Job) -> None:
    """Does what is left of a design.

    Each process takes the next unit that is neither done nor at work, in the order of the design, so that
    wherever it stops the first seeds are complete. Whatever is begun is expected to end before the deadline.

    Raises:
        UserError: for anything a user can put right.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    if job.workers < 1:
        raise ConfigError(f"--workers is {job.workers}", allowed="at least 1")
    if not left(job.design):
        return
    jobs = [job] * job.workers
    if len(jobs) > 1:
        run_workers(take_units, jobs)
    else:  # one alone needs no process of its own
        take_units(job)


def take_units(job: Job) -> None:
    """The work of one process."""
    import torch

    torch.set_num_threads(1)
    clock, judges = Clock(job.deadline), list["Judge"]()
    for unit in job.design.units:
        if not _left_of(job.design, unit):
            continue
        place = job.design.out / "units" / unit.name
        try:
            with held(place, unit.name):
                if not _do(job, unit, clock, judges):
                    return
        except InUseError:
            continue


def _do(job: Job, unit: Unit, clock: Clock, judges: "list[Judge]") -> bool:
    """Trains and looks at what is left of a unit; false if the time is up before it is done."""
    todo = _left_of(job.design, unit)
    runs = [job.design.run(member) for member in todo if member.objective]
    if runs:
        from trainers.checkpoints import RunFailure
        from trainers.train import are_finished, train_each

        if not are_finished(runs):
            pairs = sum(run.steps * run.batch_size for run in runs)
            if not clock.allows("train", pairs, PAIRS_PER_SECOND):
                return False
            start = time.time()
            for one in train_each(runs):
                notice(one.error if isinstance(one, RunFailure) else "")
            clock.timed("train", pairs, start)
    for member in todo:
        if member.objective and not (job.design.run(member).out / "checkpoints").is_dir():
            notice(f"{member.name} broke off before its first checkpoint and stays open")
            continue
        images = _images(job.design, member)
        if not clock.allows("images", images, IMAGES_PER_SECOND):
            return False
        start = time.time()
        if not judges:
            from tools.studies.claim.scoring import Judge

            judges.append(Judge(job.design))
        write_member(job.design, member, judges[0].table(member), job.command, judges[0].base)
        clock.timed("images", images, start)
        sys.stderr.write(f"{status(job.design, job.workers)}\n")
    return True


def left(design: Design) -> list[Member]:
    """The members that are not finished."""
    return [member for member in design.members if not is_finished(design, member)]


def status(design: Design, workers: int) -> str:
    """How many members are done, of which seeds, and how long the others take."""
    todo = left(design)
    done = [member for member in design.members if member not in todo]
    open_seeds = {member.seed for member in todo if member.objective}
    whole = sorted({member.seed for member in design.members if member.objective} - open_seeds)
    tables = [design.results / member.name / TABLE for member in done]
    each = seconds_each(tables) if tables else None
    each = _expected(design) if each is None else each
    hours = timedelta(seconds=round(len(todo) * each / workers))
    complete = f"seeds complete: {', '.join(map(str, whole)) or 'none'}"
    return (
        f"{len(done)} of {len(design.members)} members, {complete}; about {hours} left with {workers} workers"
    )


def _left_of(design: Design, unit: Unit) -> list[Member]:
    return [member for member in unit.members if not is_finished(design, member)]


def _images(design: Design, member: Member) -> int:
    config, sample = design.eval_config(member), design.sample
    prompts = config.limit or sample.limit
    each = config.images_per_prompt + (sample.halfway if member.halfway else 0)
    return prompts * each + sample.paths[0] * sample.paths[1]


def _expected(design: Design) -> float:
    """Seconds of a member before one was timed."""
    images = sum(_images(design, member) for member in design.members) / len(design.members)
    return STEPS * BATCH / PAIRS_PER_SECOND + images / IMAGES_PER_SECOND


def _now() -> datetime:
    return datetime.now().astimezone()


def deadline_of(minutes: float | None, until: str | None, now: Callable[[], datetime] = _now) -> float | None:
    """The time at which the work has to be over.

    Args:
        minutes: From now on.
        until: Of the clock, such as ``15:30``; tomorrow's if today's is past.
        now: The time.

    Raises:
        ConfigError: if both are given, or one is impossible.
    """
    if minutes is not None and until is not None:
        raise ConfigError("--minutes and --until are both given", allowed="one of them")
    if minutes is not None:
        if not minutes > 0:
            raise ConfigError(f"--minutes is {minutes:g}", allowed="a number above 0")
        return now().timestamp() + 60 * minutes
    if until is None:
        return None
    try:
        asked = time.strptime(until, "%H:%M")
    except ValueError:
        raise ConfigError(f"--until is {until!r}", allowed="a time of the clock, such as 15:30") from None
    end = now().replace(hour=asked.tm_hour, minute=asked.tm_min, second=0, microsecond=0)
    return (end if end > now() else end + timedelta(days=1)).timestamp()
