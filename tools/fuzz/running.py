"""Runs cases under a clock each, and counts how they ended."""

import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from benchmark.core.errors import UserError
from tools.fuzz.adapters import Adapters
from tools.fuzz.judging import Silent, Target, Verdict
from tools.fuzz.runs import Evaluations, Killed, Rescored, Trainings
from tools.fuzz.tables import Listings, Pairs, Prompts

TARGETS: Final[Mapping[str, type[Target]]] = {
    target.name: target
    for target in (
        Adapters,
        Pairs,
        Listings,
        Prompts,
        Evaluations,
        Rescored,
        Trainings,
        Killed,
    )
}
LIMIT: Final = 120
"""Seconds after which a case hangs; a sound one takes a few on a slow machine."""


@dataclass(frozen=True)
class Fault:
    """A case that ended as none may.

    Attributes:
        target: Its kind.
        number: Which one; the seed and it make the case again.
        what: What was done to which file.
        verdict: What became of it.
    """

    target: str
    number: int
    what: str
    verdict: Verdict


@dataclass
class Report:
    """How all cases ended.

    Attributes:
        seed: Of the mutations.
        counts: Cases by kind and outcome.
        faults: Those that ended as none may.
        seconds: Wall time.
    """

    seed: int
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0


class _Hang(BaseException):
    """Past any `except Exception`."""


def fuzz(
    folder: Path,
    names: Sequence[str],
    cases: int,
    seed: int,
    seconds: float,
    *,
    only_case: int | None = None,
) -> Report:
    """Runs the cases of some targets, in proportion to their shares.

    Args:
        folder: For the files; empty.
        names: Of the targets.
        cases: In all.
        seed: Of the mutations.
        seconds: No new case after so long.
        only_case: Only this one of each target.
    """
    start, report = time.monotonic(), Report(seed)
    whole = sum(TARGETS[name].share for name in names)
    for name in names:
        place = folder / name
        place.mkdir()
        target = TARGETS[name](place)
        wanted = range(round(cases * target.share / whole)) if only_case is None else [only_case]
        counts: Counter[str] = Counter()
        for number in wanted:
            if time.monotonic() - start > seconds:
                break
            what, verdict = _one(target, Random(f"{seed} {name} {number}"))
            counts[verdict.outcome] += 1
            if verdict.outcome.isupper():
                report.faults.append(Fault(name, number, what, verdict))
            if number % 50 == 0:
                print(f"{name}: {number} of {len(wanted)}, {time.monotonic() - start:.0f} s", file=sys.stderr)
        report.counts[name] = dict(sorted(counts.items()))
    report.seconds = time.monotonic() - start
    return report


def _one(target: Target, rng: Random) -> tuple[str, Verdict]:
    what = target.damage(rng)
    try:
        with _clock():
            return what, target.judge()
    except UserError as error:
        return what, Verdict("refused", str(error))
    except Silent as error:
        return what, Verdict("SILENT", str(error))
    except _Hang:
        return what, Verdict("HANG", f"after {LIMIT} s")
    except Exception as error:  # noqa: BLE001  # a bug of fbench's, which is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        note = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return what, Verdict("TRACEBACK", note)


@contextmanager
def _clock() -> Iterator[None]:
    def hang(_number: int, _frame: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
