"""What is measured, and the file that keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmark.core import store

RESULTS: Final = Path("results/growth.json")


@dataclass(frozen=True)
class Run:
    """One command, in a process of its own.

    Attributes:
        kind: What grows: ``evaluation``, ``resumed``, ``results`` or ``sweep``.
        size: Images, rows or runs.
        words: The size in words.
        seconds: Wall time, imports included.
        peak_gb: The most memory that it held, 10^9 bytes.
    """

    kind: str
    size: int
    words: str
    seconds: float
    peak_gb: float

    @property
    def name(self) -> str:
        """Of its entry."""
        return f"{self.kind} {self.size}"


def read_runs(path: Path = RESULTS) -> dict[str, Run]:
    """What was measured so far, by name.

    Raises:
        UnreadableFileError: if the file is there and is no such record.
    """
    known = store.read_json(path, "measurements") if path.is_file() else []
    runs = [Run(**one) for one in known]
    return {run.name: run for run in runs}


def write_runs(runs: Mapping[str, Run], path: Path = RESULTS) -> None:
    """Writes the record."""
    store.write_json(path, [asdict(run) for run in runs.values()])
