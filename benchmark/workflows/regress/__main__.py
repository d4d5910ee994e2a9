"""`python -m benchmark.workflows.regress`: the committed baselines of `fbench regress`.

Trains every divergence with every seed on the gate's budget, evaluates the runs beside the base model, and
writes their scores. The same command again resumes.
"""

import argparse
import sys
from pathlib import Path

from benchmark.core.console import finish
from benchmark.workflows.regress.baselines import make_baselines
from benchmark.workflows.regress.recipe import BASELINE_SEEDS
from benchmark.workflows.regress.study import parse_seeds
from benchmark.workflows.workers import WORKERS


def main() -> None:
    """Parses the command line and makes the baselines."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.workflows.regress", description=__doc__)
    add = parser.add_argument
    add("--divergence", action="append", help="repeatable (default reverse_kl and jensen_shannon)")
    add("--seeds", default=f"{BASELINE_SEEDS[0]}-{BASELINE_SEEDS[-1]}", help="training seeds")
    add("--out", type=Path, default=Path("runs/baselines"), help="runs and images, not committed")
    add("--results", type=Path, default=Path("results/baselines"), help="a folder a divergence, committed")
    add("--workers", type=int, default=WORKERS, help="processes of one thread")
    args = parser.parse_args()
    chosen = args.divergence or ["reverse_kl", "jensen_shannon"]
    seeds = parse_seeds(args.seeds)
    for folder in make_baselines(chosen, args.out, args.results, seeds=seeds, workers=args.workers):
        sys.stdout.write(f"wrote {folder}\n")


if __name__ == "__main__":
    finish(main)
