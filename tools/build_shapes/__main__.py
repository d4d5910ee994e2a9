"""`python -m tools.build_shapes [stage ...]`: makes the embedded world again, from seeds."""

import argparse
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

from tools.build_shapes.fitting import Build
from tools.build_shapes.workers import together

STAGES: Final = (
    "tokenizer",
    "prompts",
    "text",
    "vae",
    "oracle_label",
    "oracle",
    "truth",
    "features",
    "perceptual",
    "clip",
    "unet",
    "base_quality",
    "samples",
    "preferences",
    "hps",
    "pickscore",
    "imagereward",
    "flow",
    "flow_quality",
)
"""In the order they need one another; each is a module with `run(build)`, the two oracles share one."""

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


def run_stage(name: str, build: Build) -> None:
    """Runs one stage in as many processes as the build allows."""
    shared = name.startswith("oracle")
    module = import_module("tools.build_shapes.oracles" if shared else f"tools.build_shapes.{name}")
    print(f"stage {name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
    together(partial(module.run, name=name) if shared else module.run, build)


if __name__ == "__main__":
    main()
