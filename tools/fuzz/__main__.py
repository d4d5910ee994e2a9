"""``python -m tools.fuzz``: so many damaged files of each kind, and what became of them."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmark.core.store import write_json
from tools.fuzz.running import TARGETS, Report, fuzz

FOLDER = Path(".build/fuzz")


def main() -> int:
    """Fuzzes, prints the table, and keeps it; exit code 1 if a file ended as none may."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="Damaged files in all. (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600, help="Stop after so long. (default 3600)")
    parser.add_argument(
        "--only", action="append", choices=sorted(TARGETS), help="This kind; may be repeated."
    )
    parser.add_argument("--case", type=int, help="This case alone, of the one kind of --only.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fbench-fuzz-") as folder:
        report = fuzz(
            Path(folder),
            given.only or list(TARGETS),
            given.cases,
            given.seed,
            given.seconds,
            only_case=given.case,
        )
    _print(report)
    write_json(FOLDER / f"seed-{given.seed}.json", report)
    return 1 if report.faults else 0


def _print(report: Report) -> None:
    for name, counts in report.counts.items():
        print(f"{name:10} {json.dumps(counts)}")
    for fault in report.faults:
        print(
            f"{fault.verdict.outcome} {fault.target} case {fault.number}: {fault.what}: {fault.verdict.note}"
        )
    done = sum(sum(counts.values()) for counts in report.counts.values())
    print(f"{done} files, {len(report.faults)} that ended as none may, {report.seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
