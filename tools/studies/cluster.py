"""Faults on a cluster, measured: what dies, and whether the images and scores are those of one process.

    python -m tools.studies.cluster measure --out runs/cluster
    python -m tools.studies.cluster page docs/cluster.md

The first trains two small policies, evaluates them and the base model in one process, then on a Ray cluster
of two machines of one core each under every fault, and writes `results/cluster.json`; what is there already
is not measured again. The second writes the figures into the page.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark.core import store
from benchmark.core.console import finish, notice
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_file
from benchmark.leaderboard import read_score_table
from tools.bench import cluster as benches
from tools.bench.local_cluster import SCORERS, local_cluster, run, start

RESULTS: Final = Path("results/cluster.json")
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
        return replace(
            row, restarts=text.count("it is done again") + text.count("begun again"), stalls=stalls
        )

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
    return lines[-1].removeprefix("error: ") if lines else "no line"


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


def _nothing(cluster: Any, out: Path, stop: threading.Event) -> str:  # noqa: ARG001
    return "nothing dies"


def _kill_workers(cluster: Any, out: Path, stop: threading.Event) -> str:  # noqa: ARG001
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


def _remove_machine(cluster: Any, out: Path, stop: threading.Event) -> str:
    if not _half_done(out, stop):
        return "the work was done before"
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    return "the second machine goes when half the images are there"


def _kill_head(cluster: Any, out: Path, stop: threading.Event) -> str:
    if not _half_done(out, stop):
        return "the work was done before"
    cluster.head_node.kill_gcs_server()
    return "the head's process is killed when half the images are there, and the command given again"


def _continue_shard(study: Study) -> Row:
    """Images by hand, scores by Ray."""
    out = study.out / "by-hand"
    shutil.rmtree(out, ignore_errors=True)
    run(study.words(out, "--shard", "1/2"), study.out / "logs" / "by-hand-1")
    with local_cluster(2) as cluster:
        done = run(study.words(out, "--ray", cluster.address), study.out / "logs" / "by-hand-2")
    return study.compared(
        "begun by hand", out, done.seconds, "`--shard 1/2` by hand before; seconds of the rest"
    )


def measure(out: Path) -> None:
    """Measures what is not in the results yet."""
    known = store.read_json(RESULTS, "measurements") if RESULTS.is_file() else {}
    study = Study(out)
    faults: dict[str, Callable[[], Row]] = {
        "one process": study.prepare,
        "one worker": lambda: study.under("one worker", _nothing, machines=1),
        "two workers": lambda: study.under("two workers", _nothing),
        "ten kills": lambda: study.under("ten kills", _kill_workers),
        "a machine goes": lambda: study.under("a machine goes", _remove_machine),
        "the head dies": lambda: study.under("the head dies", _kill_head),
        "begun by hand": lambda: _continue_shard(study),
    }
    for name, act in faults.items():
        if name not in known or (name == "one process" and not study.alone.is_dir()):
            known[name] = asdict(act())
            notice(f"{name}: {known[name]}")
            store.write_json(RESULTS, known)
    if "large" not in known:
        known["large"] = _large(out / "large", out / "logs" / "large")
        notice(f"large: {known['large']}")
        store.write_json(RESULTS, known)
    for bench in (benches.measure_efficiency, benches.measure_overhead):
        name = bench.__name__.removeprefix("measure_")
        if name not in known:
            known[name] = vars(bench())
            notice(f"{name}: {known[name]}")
            store.write_json(RESULTS, known)


def _large(out: Path, log: Path) -> dict[str, Any]:
    """The results of a large evaluation, written by a process of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "tools.bench.large_evaluation", "--out", str(out)]
    with log.open("w") as stream:
        subprocess.run(words, stdout=stream, check=True)
    found: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return found


def _model(known: dict[str, Any]) -> str:
    """The cost model held against two workers, with the speed that one worker had."""
    one, two = (known[name]["parts"] for name in ("one worker", "two workers"))
    work = "generate and score"
    said = two["start"] + one[work] / 2 + two["rank"]
    took = sum(two.values())
    return (
        f"With {one[work]} s of work for one worker the model gives two of them {said:.0f} s (start "
        f"{two['start']} s, work {one[work] / 2:.0f} s, rank {two['rank']} s); they took {took} s, "
        f"{100 * (took / said - 1):+.0f} %."
    )


def _of_large(large: dict[str, Any]) -> str:
    return (
        f"{large['rows']:,} rows: {large['peak_gb']:.2f} GB at the peak (10^9 bytes, of the whole process), "
        f"{large['seconds']:.0f} s; `scores.parquet` has {large['table_mb']:.0f} MB and `report.html` "
        f'{large["page_mb"]:.0f} MB. The page says: "{large["left_out"]}"'
    )


def figures(known: dict[str, Any]) -> str:
    """The page's figures, from the results."""
    rows = [Row(**one) for one in known.values() if "images" in one]
    more, cost = known["efficiency"], known["overhead"]
    percent = 100 * (cost["ours"] / cost["peer"] - 1)
    return "\n".join(
        [
            "| fault | images equal | rows equal | seconds | begun again | |",
            "|:--|--:|--:|--:|--:|:--|",
            *(
                f"| {row.name} | {row.images} of {row.all_images} | {row.scores:,} of {row.all_scores:,} | "
                f"{row.seconds:.0f} | {row.restarts} | {row.note} |"
                for row in rows
            ),
            "",
            (
                f"Two workers make {more['ours']:.2f} images a second and one {more['peer']:.2f}, "
                f"{more['ratio']:.2f} times as many ({more['note']})."
            ),
            "",
            (
                f"Ray with one worker takes {cost['ours']:.1f} s and the plain command {cost['peer']:.1f} s, "
                f"{percent:.0f} % more ({cost['note']})."
            ),
        ]
    )


def between_marks(page: Path, name: str, text: str) -> str:
    """A page with other text between its marks ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises:
        UserError: if it lacks them.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    content = page.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise UserError(f"{page} has no place for {name}", allowed=f"{begin} and {end}")
    head, _, rest = content.partition(begin)
    return f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


def write_page(page: Path) -> None:
    """Puts the figures between the page's marks."""
    known = store.read_json(RESULTS, "measurements", do="python -m tools.studies.cluster measure")
    for name, text in (
        ("figures", figures(known)),
        ("model", _model(known)),
        ("large", _of_large(known["large"])),
    ):
        store.write_text(page, between_marks(page, name, text))


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.studies.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="what is not measured yet")
    measuring.add_argument("--out", type=Path, default=Path("runs/cluster"))
    commands.add_parser("page", help="writes the figures").add_argument("page", type=Path)
    asked = parser.parse_args()
    if asked.command == "measure":
        measure(asked.out)
    else:
        write_page(asked.page)


if __name__ == "__main__":
    finish(main)
