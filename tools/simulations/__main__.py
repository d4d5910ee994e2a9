"""`python -m tools.simulations`: do the statistics keep their word where the truth is known?

Small by default; `--tables 4000` is what the guide shows. The same command again goes on.
"""

import argparse
from pathlib import Path

from benchmark.core.console import finish, typed
from tools.simulations.report import beside_others, markdown, record, write
from tools.simulations.running import CASES, CHUNK, plan, simulate

NAME = "tools.simulations"


def main() -> None:
    """Parses the command line, simulates, and writes what was asked for."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    add = parser.add_argument
    add("--tables", type=int, default=100, help="simulated evaluations a case (default 100)")
    add("--resamples", type=int, default=199, help="of every bootstrap (default 199)")
    add("--only", default="", metavar="A,B", help=f"some of {', '.join(CASES)}")
    add("--workers", type=int, default=1, help="processes of one thread")
    add("--out", type=Path, default=Path("runs/simulations"), help="chunks that are done")
    add(
        "--results",
        type=Path,
        help="writes the figures here, such as results/simulations.json; keeps cases not asked for",
    )
    add("--page", type=Path, help="... and their block in this page, such as docs/statistics.md")
    args = parser.parse_args()
    names = [name for name in args.only.split(",") if name]
    chunks = plan(names, args.tables, args.resamples, args.out)
    results = simulate(chunks, args.workers)
    tables = CHUNK * len(chunks) // len(results)
    study = record(results, tables, args.resamples, typed(NAME))
    print(markdown(study))
    if args.results:
        whole = beside_others(study, args.results, [*CASES]) if names else study
        write(whole, args.results, args.page)


if __name__ == "__main__":
    finish(main)
