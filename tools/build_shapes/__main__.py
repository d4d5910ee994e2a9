"""`python -m tools.build_shapes [stage ...]`: makes the embedded world again, from seeds."""

import argparse
from pathlib import Path

from tools.build_shapes.fitting import Build
from tools.build_shapes.stages import STAGES, run_stage

HERE = Path(__file__).parents[2] / "benchmark" / "shapes"


def main() -> None:
    """Parses the command line and runs the stages in order."""
    parser = argparse.ArgumentParser(prog="python -m tools.build_shapes", description=__doc__)
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="stage",
        help=f"any of: {', '.join(STAGES)} (default: all, in this order)",
    )
    parser.add_argument("--weights", type=Path, default=HERE / "weights", help="where the weights go")
    parser.add_argument(
        "--data", type=Path, default=HERE / "data", help="where the preference and style data go"
    )
    parser.add_argument(
        "--state", type=Path, default=Path(".build"), help="where interrupted stages go on from"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiplies every number of steps; 0.005 is the miniature"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="worker processes of one thread each")
    args = parser.parse_args()
    unknown = [s for s in args.stages if s not in STAGES]
    if unknown:
        parser.error(f"no stage {unknown[0]!r}; stages are {', '.join(STAGES)}")
    build = Build(args.weights, args.data, args.state, args.scale, args.seed, args.processes)
    for stage in args.stages or STAGES:
        run_stage(stage, build)


if __name__ == "__main__":
    main()
