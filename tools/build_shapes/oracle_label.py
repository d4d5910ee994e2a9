"""Stage `oracle_label`: see `oracles`."""

from tools.build_shapes.fitting import Build
from tools.build_shapes.oracles import run_one


def run(build: Build) -> None:
    """Trains, measures and writes the reader."""
    run_one(build, "oracle_label")
