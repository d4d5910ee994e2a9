"""Runs simulations in chunks that are kept: several processes, and the same command goes on."""

import json
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmark.core.errors import UnknownNameError
from benchmark.core.store import write_text
from benchmark.workflows.workers import run_workers
from tools.simulations.best import BEST
from tools.simulations.cases import Case, Draw, Outcome
from tools.simulations.checkpoint_gate import CHECKPOINTS
from tools.simulations.claim import CLAIM
from tools.simulations.fronts import FRONTS, PLANES
from tools.simulations.gaps import GAPS
from tools.simulations.gating import DROPS, GATE, METHODS, NOTHING
from tools.simulations.iso import ISO
from tools.simulations.means import MEANS, RESAMPLES
from tools.simulations.nulls import HOLM, TESTS
from tools.simulations.sets import SETS

CASES: Final[dict[str, Case]] = {
    case.name: case
    for case in (
        MEANS, GAPS, RESAMPLES, TESTS, HOLM, BEST, FRONTS, PLANES, SETS, ISO, METHODS, GATE, DROPS,
        NOTHING, CHECKPOINTS, CLAIM,
    )
}  # fmt: skip

CHUNK: Final = 50
"""Tables in a file: what a killed process loses at most."""


@dataclass(frozen=True)
class Chunk:
    """Some tables of one case.

    Attributes:
        case: Its name.
        index: Which; the data are a function of case and index alone.
        resamples: Of every bootstrap.
        path: Where the outcomes are kept.
    """

    case: str
    index: int
    resamples: int
    path: Path


@dataclass(frozen=True)
class CaseResult:
    """What was seen of one case.

    Attributes:
        case: Its name.
        setting: What was simulated.
        seconds: Of processor time.
        outcomes: Summed over the chunks.
    """

    case: str
    setting: str
    seconds: float
    outcomes: tuple[Outcome, ...]


def plan(names: Sequence[str], tables: int, resamples: int, out: Path) -> list[Chunk]:
    """The chunks of a study, case by case within each index so that all cases grow together.

    Args:
        names: Of the cases; empty for all.
        tables: Of each case, at least; rounded up to whole chunks.
        resamples: Of every bootstrap.
        out: Folder of the chunks.

    Raises:
        UnknownNameError: for a case that there is not.
    """
    for name in names:
        if name not in CASES:
            raise UnknownNameError("simulation", name, CASES)
    return [
        Chunk(name, index, resamples, out / f"{name}-{_mark(name)}-{resamples}-{index:04d}.json")
        for index in range(-(-tables // CHUNK))
        for name in names or CASES
    ]


def _mark(name: str) -> str:
    """Of what the case says it simulates: who changes that does not go on with what was kept before."""
    return f"{zlib.crc32(CASES[name].setting.encode()):08x}"


def run_chunks(chunks: Iterable[Chunk]) -> None:
    """Simulates what is not kept yet."""
    for chunk in chunks:
        if chunk.path.exists():
            continue
        start = time.process_time()
        entropy = [zlib.crc32(chunk.case.encode()), chunk.index]
        data, resampling = np.random.SeedSequence(entropy).spawn(2)
        seed = int(resampling.generate_state(1)[0])
        draw = Draw(np.random.default_rng(data), CHUNK, chunk.resamples, seed)
        outcomes = [asdict(o) for o in CASES[chunk.case].run(draw)]
        seconds = round(time.process_time() - start, 2)
        write_text(chunk.path, json.dumps({"seconds": seconds, "outcomes": outcomes}) + "\n")
        print(f"{chunk.case} {chunk.index}: {seconds:.1f} s", flush=True)


def simulate(chunks: Sequence[Chunk], workers: int) -> list[CaseResult]:
    """Simulates and sums.

    Args:
        chunks: As of :func:`plan`.
        workers: Processes.

    Returns:
        One result a case.
    """
    left = [chunk for chunk in chunks if not chunk.path.exists()]
    if workers > 1 and len(left) > 1:
        # By index: every worker has its part of every case, since these differ in what they take.
        parts = ([chunk for chunk in left if chunk.index % workers == i] for i in range(workers))
        run_workers(run_chunks, [part for part in parts if part])
    else:
        run_chunks(left)
    return [
        _summed(name, [c for c in chunks if c.case == name]) for name in dict.fromkeys(c.case for c in chunks)
    ]


def _summed(name: str, chunks: Sequence[Chunk]) -> CaseResult:
    seconds, found = 0.0, dict[tuple[str, str], Outcome]()
    for chunk in chunks:
        kept = json.loads(chunk.path.read_text(encoding="utf-8"))
        seconds += kept["seconds"]
        for raw in kept["outcomes"]:
            new = Outcome(**raw)
            key = (new.row, new.column)
            known = found.get(key, replace(new, hits=0, n=0, total=None if new.total is None else 0.0))
            total = None if new.total is None or known.total is None else known.total + new.total
            found[key] = replace(new, hits=known.hits + new.hits, n=known.n + new.n, total=total)
    return CaseResult(name, CASES[name].setting, round(seconds, 1), tuple(found.values()))
