"""Time and memory over size, measured.

    python -m tools.studies.growth measure --out runs/growth
    python -m tools.studies.growth figure growth.png

The first runs `fbench eval` and `fbench sweep` in three and four sizes, writes the results of made-up scores
in four, and keeps seconds and the peak of memory of each process in `results/growth.json`; what is there
already is not measured again. The second draws them.
"""

import argparse
from pathlib import Path

from benchmark.core.console import finish
from tools.studies.growth.measure import measure
from tools.studies.growth.page import growth_figure
from tools.studies.growth.records import read_runs


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.studies.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="what is not measured yet")
    measuring.add_argument("--out", type=Path, default=Path("runs/growth"))
    commands.add_parser("figure", help="draws them").add_argument("path", type=Path)
    asked = parser.parse_args()
    if asked.command == "measure":
        measure(asked.out)
    else:
        growth_figure(asked.path, read_runs())


if __name__ == "__main__":
    finish(main)
