"""What a measurement is, and how the same work is timed on both sides."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.core import store

Work = Callable[[], Any]


@dataclass(frozen=True)
class Measurement:
    """Ours against a peer's on the same work.

    Attributes:
        name: As in `make bench ONLY=name`.
        ours: In `unit`.
        peer: In `unit`.
        ratio: How many times better ours is: above 1 whatever the unit. Of memory, our share of the peer's:
            below 1.
        unit: A rate such as images/s, or s.
        peer_name: Whom it is compared with.
        note: What was done, and what one must know.
        flops: Of matrix products, convolutions and attention that the work needs, ours did so many a second;
            None where nobody counted.
        limit: Those of this machine's own matrix product, in the same precision; `tools.bench.limits`.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    peer_name: str
    note: str
    flops: float | None = None
    limit: float | None = None

    def line(self) -> str:
        """For the terminal."""
        numbers = f"{self.ours:.4g} against {self.peer:.4g} {self.unit}"
        said = f"{self.name:12} {self.ratio:6.2f} x  {numbers} of {self.peer_name}; {self.note}"
        if self.flops is not None and self.limit is not None:
            of = f"{self.limit / 1e9:.0f} GFLOP/s of this machine's matrix product"
            said += f"; {self.flops / self.limit:.0%} of the {of}"
        return said


def compare(
    name: str,
    ours: Work,
    peers: Mapping[str, Work],
    *,
    unit: str = "s",
    amount: float = 1.0,
    rounds: int = 3,
    note: str = "",
) -> Measurement:
    """Times ours and every peer in turns, after one round to warm up; the fastest peer counts.

    Args:
        name: Of the measurement.
        ours: The work.
        peers: The same work, by who does it.
        unit: ``s``, or a rate, which ends in ``/s``.
        amount: For a rate: what the work makes.
        rounds: Of which the median counts.
        note: What the work is.
    """
    everyone = {"": ours, **peers}
    seconds: dict[str, list[float]] = {who: [] for who in everyone}
    for turn in range(rounds + 1):
        for who, work in everyone.items():
            start = time.perf_counter()
            work()
            if turn:
                seconds[who].append(time.perf_counter() - start)
    median = {who: statistics.median(taken) for who, taken in seconds.items()}
    best = min(peers, key=lambda who: median[who])
    in_unit = {who: amount / s if unit.endswith("/s") else s for who, s in median.items()}
    others = [f"{who}: {in_unit[who]:.4g} {unit}" for who in peers if who != best]
    return Measurement(
        name=name,
        ours=in_unit[""],
        peer=in_unit[best],
        ratio=median[best] / median[""],
        unit=unit,
        peer_name=best,
        note="; ".join(part for part in (note, *others, f"median of {rounds}") if part),
    )


def write_measurements(path: Path, new: Iterable[Measurement]) -> None:
    """Writes a list of measurements; those of other names that the file holds stay.

    Raises:
        UserError: if the file is there and is no such list.
    """
    rows = {row["name"]: row for row in (store.read_json(path, "measurements") if path.is_file() else [])}
    rows |= {m.name: {key: value for key, value in vars(m).items() if value is not None} for m in new}
    store.write_json(path, list(rows.values()))
