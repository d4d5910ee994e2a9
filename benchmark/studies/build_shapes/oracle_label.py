"""Stage `oracle_label`: see `oracles`."""

from benchmark.studies.build_shapes.fitting import Build
from benchmark.studies.build_shapes.oracles import run_one


def run(build: Build) -> None:
    """Trains, measures and writes the reader."""
    run_one(build, "oracle_label")
