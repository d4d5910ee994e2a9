"""Evaluations under faults, held against one of one process."""

import os
import random
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark.core.hashing import sha256_file
from benchmark.leaderboard import read_score_table
from tools.bench.local_cluster import SCORERS, local_cluster, run, start

_KILLS: Final = 10
_PROMPTS, _IMAGES = 48, 4
_WORLD: Final = ("--preset", "shapes-f-dpo-reverse-kl", "--steps", "20")


@dataclass(frozen=True)
class Row:
    """One evaluation under one fault.

    Attributes:
        name: Of the fault.
        seconds: Wall time of the command, or of both where it was repeated.
        images: Images that are equal to those of one process, to the bit.
        scores: Rows that are equal to those of one process.
        all_images: Images there are.
        all_scores: Rows there are.
        restarts: Times that a worker was begun again.
        stalls: Lines that said what was waited for.
        note: What was done.
        parts: Seconds by part, as the command says them.
    """

    name: str
    seconds: float
    images: int
    scores: int
    all_images: int
    all_scores: int
    restarts: int = 0
    stalls: int = 0
    note: str = ""
    parts: dict[str, int] = field(default_factory=dict)


class Study:
    """Evaluations of three checkpoints into folders of their own.

    Args:
        out: Everything goes into it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.alone = out / "one-process"

    def words(self, out: Path, *more: str) -> list[str]:
        """The command of an evaluation."""
        policies = [word for seed in (0, 1) for word in ("--checkpoint", str(self.out / f"policy-{seed}"))]
        size = ("--limit", str(_PROMPTS), "--images-per-prompt", str(_IMAGES), "--scorers", SCORERS)
        return ["eval", "--checkpoint", "base", *policies, *size, "--out", str(out), *more]

    def prepare(self) -> Row:
        """Trains the policies and evaluates in one process."""
        for seed in (0, 1):
            place = self.out / f"policy-{seed}"
            run(
                ["train", *_WORLD, "--seed", str(seed), "--out", str(place)],
                self.out / "logs" / f"train-{seed}",
            )
        shutil.rmtree(self.alone, ignore_errors=True)
        done = run(self.words(self.alone), self.out / "logs" / "one-process")
        row = self.compared("one process", self.alone, done.seconds, "the plain command, one thread")
        return replace(row, parts=_parts(done.said))

    def under(
        self, name: str, disturb: "Callable[[Any, Path, threading.Event], str]", *, machines: int = 2
    ) -> Row:
        """An evaluation on a cluster, disturbed meanwhile.

        Args:
            name: Of the fault.
            disturb: Does harm until it is told to stop; says what it did.
            machines: Of one core each.
        """
        out, log = self.out / name.replace(" ", "-"), self.out / "logs" / name.replace(" ", "-")
        shutil.rmtree(out, ignore_errors=True)
        stop, said = threading.Event(), list[str]()
        with local_cluster(machines) as cluster:
            begin = time.monotonic()
            words = self.words(out, "--ray", cluster.address, "--retries", "10")
            process = start(words, log)
            harm = threading.Thread(target=lambda: said.append(disturb(cluster, out, stop)))
            harm.start()
            code = process.wait()
            stop.set()
            harm.join()
        text, note = log.read_text(errors="replace"), said[0]
        if code != 0:
            with local_cluster(machines) as cluster:
                done = run(self.words(out, "--ray", cluster.address), log.with_suffix(".again"))
            text += done.said
            note += f"; the first command ended with {code}: {_error(log)}"
        row = self.compared(name, out, time.monotonic() - begin, note)
        stalls = text.count("no unit has ended for")
        restarts = text.count("it is done again") + text.count("begun again")
        return replace(row, restarts=restarts, stalls=stalls, parts=_parts(text))

    def compared(self, name: str, out: Path, seconds: float, note: str) -> Row:
        """How much of an evaluation equals that of one process."""
        ours, theirs = _images(out), _images(self.alone)
        a, b = read_score_table(out).rows, read_score_table(self.alone).rows
        same = a.eq(b) | (a.isna() & b.isna()) if len(a) == len(b) else pd.DataFrame({"x": [False]})
        equal = sum(theirs.get(file) == digest for file, digest in ours.items())
        return Row(
            name, round(seconds, 1), equal, int(same.all(axis=1).sum()), len(theirs), len(b), note=note
        )


def _images(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("images/*/*.png"))
    return {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}


def _parts(said: str) -> dict[str, int]:
    """Seconds by part, from the line that names the report."""
    lines = [line for line in said.splitlines() if "report.html" in line]
    return {name: int(taken) for name, taken in re.findall(r"([a-z][a-z ]*?) (\d+) s(?=[,;])", lines[-1])}


def _error(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("error:")]
    # Where the head was says nothing of another machine.
    return re.sub(r" at [\w.:]+:\d+", "", lines[-1].removeprefix("error: ")) if lines else "no line"


def workers() -> Iterator[int]:
    """The process ids of Ray's actors on this machine that this process began."""
    for place in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if (place / "cmdline").read_bytes().startswith(b"ray::Actor") and _is_below(int(place.name)):
                yield int(place.name)


def _is_below(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False


def nothing(cluster: Any, out: Path, stop: threading.Event) -> str:  # noqa: ARG001
    """Does no harm."""
    return "nothing dies"


def kill_workers(cluster: Any, out: Path, stop: threading.Event) -> str:  # noqa: ARG001
    """Kills a worker at random, ten times, when some more images or scores are there than the last time."""
    draw, killed = random.Random(0), 0
    everything = 3 * _PROMPTS * _IMAGES
    while killed < _KILLS and not stop.wait(0.1):
        due = everything * killed / _KILLS
        there = list(workers())
        if there and len(list(out.glob("images/*/*.png"))) >= due:
            os.kill(draw.choice(there), signal.SIGKILL)
            killed += 1
    return f"{killed} of {_KILLS} kills"


def _half_done(out: Path, stop: threading.Event) -> bool:
    while len(list(out.glob("images/*/*.png"))) < 3 * _PROMPTS * _IMAGES // 2:
        if stop.wait(0.1):
            return False
    return True


def remove_machine(cluster: Any, out: Path, stop: threading.Event) -> str:
    """Takes the second machine away without a word."""
    if not _half_done(out, stop):
        return "the work was done before"
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    return "the second machine goes when half the images are there"


def kill_head(cluster: Any, out: Path, stop: threading.Event) -> str:
    """Kills the process that knows all others."""
    if not _half_done(out, stop):
        return "the work was done before"
    cluster.head_node.kill_gcs_server()
    return "the head's process is killed when half the images are there, and the command given again"


def continue_shard(study: Study) -> Row:
    """Images by hand, scores by Ray."""
    out = study.out / "by-hand"
    shutil.rmtree(out, ignore_errors=True)
    run(study.words(out, "--shard", "1/2"), study.out / "logs" / "by-hand-1")
    with local_cluster(2) as cluster:
        done = run(study.words(out, "--ray", cluster.address), study.out / "logs" / "by-hand-2")
    return study.compared(
        "begun by hand", out, done.seconds, "`--shard 1/2` by hand before; seconds of the rest"
    )
