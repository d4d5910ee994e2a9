"""Faults on a cluster, measured: what dies, and whether the images and scores are those of one process.

    python -m tools.studies.cluster measure --out runs/cluster
    python -m tools.studies.cluster page docs/cluster.md

The first trains two small policies, evaluates them and the base model in one process, then on a Ray cluster
of two machines of one core each under every fault, and writes `results/cluster.json`; what is there already
is not measured again. The second writes the figures into the page.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.core import store
from benchmark.core.console import finish, notice
from tools.bench import cluster as benches
from tools.studies.cluster import faults
from tools.studies.cluster.page import RESULTS, write_page


def _large(out: Path, log: Path) -> dict[str, Any]:
    """The results of a large evaluation, written by a process of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "tools.bench.large_evaluation", "--out", str(out)]
    with log.open("w") as stream:
        subprocess.run(words, stdout=stream, check=True)
    found: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return found


def measure(out: Path) -> None:
    """Measures what is not in the results yet."""
    known = store.read_json(RESULTS, "measurements") if RESULTS.is_file() else {}
    study = faults.Study(out)
    scenes: dict[str, Callable[[], faults.Row]] = {
        "one process": study.prepare,
        "one worker": lambda: study.under("one worker", faults.nothing, machines=1),
        "two workers": lambda: study.under("two workers", faults.nothing),
        "ten kills": lambda: study.under("ten kills", faults.kill_workers),
        "a machine goes": lambda: study.under("a machine goes", faults.remove_machine),
        "the head dies": lambda: study.under("the head dies", faults.kill_head),
        "begun by hand": lambda: faults.continue_shard(study),
    }
    for name, act in scenes.items():
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
