"""Stage `flow_quality`: the guidance of the flow model, and how well it draws what prompts say."""

from benchmark.core.records import Sampler
from tools.build_shapes import base_quality
from tools.build_shapes.fitting import Build
from tools.build_shapes.flow import NAME

SAMPLER = Sampler(name="euler", steps=16, batch_size=16)


def run(build: Build) -> None:
    """Writes the card with the held-out bars, and a sheet to look at."""
    base_quality.measure(build, NAME, "flow_quality", SAMPLER)
