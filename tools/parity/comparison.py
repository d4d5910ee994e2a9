"""What a comparison is, and the row it leaves."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from benchmark.core.errors import UserError

TOLERANCE: Final = 1e-4
"""Of a score on its own scale, in fp32."""
RELATIVE: Final = 1e-3
"""Of a distance between sets, as a share of it."""


@dataclass(frozen=True)
class Answers:
    """What both sides said to the same questions.

    Attributes:
        ours: Our numbers.
        theirs: The original's.
        versions: Of the original's packages.
        left_out: Questions that were not put, or not counted, and why.
        raw: By image mode, what the original does with such a file itself.
    """

    ours: Sequence[float]
    theirs: Sequence[float]
    versions: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One of our scorers against one original.

    Attributes:
        scorer: Ours.
        oracle: Whose numbers ours are compared with.
        run: Puts the questions, in a folder with the weights.
        needs: The weights, as named in `layouts`.
        relative: Whether the difference is a share of the number.
        size: Of the weights.
        about: What was asked.
    """

    scorer: str
    oracle: str
    run: Callable[[Path], Answers]
    needs: tuple[str, ...] = ()
    relative: bool = False
    size: Literal["full", "small"] = "full"
    about: str = ""

    @property
    def tolerance(self) -> float:
        """Above it the comparison has failed."""
        return RELATIVE if self.relative else TOLERANCE

    def row(self, folder: Path) -> "Row":
        """Runs it; what cannot be run here is a row that says so."""
        start = time.perf_counter()
        try:
            said = self.run(folder)
        except UserError as error:
            return self.not_run(error)
        apart = differences(said, relative=self.relative)
        # A NaN is no number of either side: JSON has none, and it has failed.
        largest = max(apart) if apart and all(map(math.isfinite, apart)) else None
        passed = largest is not None and largest <= self.tolerance
        return Row(
            **self._known,
            n=len(apart),
            max_abs_diff=largest,
            passed=passed,
            status="passed" if passed else "failed",
            spread=_spread(said.ours),
            versions=dict(said.versions),
            left_out=dict(said.left_out),
            raw=dict(said.raw),
            differences=[float(f"{d:.2g}") for d in apart[:64] if math.isfinite(d)],
            seconds=round(time.perf_counter() - start, 1),
        )

    def not_run(self, why: UserError) -> "Row":
        """The row of a comparison that could not be made here."""
        return Row(**self._known, n=0, max_abs_diff=None, passed=False, status=f"not run: {why}")

    @property
    def _known(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer, "oracle": self.oracle, "tolerance": self.tolerance, "size": self.size,
            "relative": self.relative, "about": self.about,
        }  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A line of `results/parity.json`.

    Attributes:
        scorer: Ours.
        oracle: The original.
        n: Numbers compared.
        max_abs_diff: The largest difference; of distances between sets, relative. None if it was not run, or
            a side gave no number.
        tolerance: What it may be.
        passed: Whether it was run and stayed within.
        status: ``passed``, ``failed`` or ``not run`` and why.
        size: ``full`` for the published architecture's size.
        relative: Whether differences are shares.
        about: What was asked.
        spread: Standard deviation of our numbers, or the number where there is one: what a difference has to
            be seen against.
        versions: Of the original's packages.
        left_out: What was not counted, and why.
        raw: What the original does with files of some modes itself.
        differences: Of the first 64 numbers.
        seconds: Wall time.
    """

    scorer: str
    oracle: str
    n: int
    max_abs_diff: float | None
    tolerance: float
    passed: bool
    status: str
    size: str = "full"
    relative: bool = False
    about: str = ""
    spread: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)
    differences: Sequence[float] = ()
    seconds: float = 0.0

    def json(self) -> dict[str, Any]:
        """For the file."""
        return asdict(self)


def differences(said: Answers, *, relative: bool) -> list[float]:
    """One for each pair of numbers."""
    pairs = list(zip(said.ours, said.theirs, strict=True))
    if relative:
        return [abs(a - b) / max(abs(b), 1e-12) for a, b in pairs]
    return [abs(a - b) for a, b in pairs]


def _spread(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return abs(values[0]) if values else None
    return statistics.pstdev(values)
