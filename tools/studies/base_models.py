"""`python -m tools.studies.base_models FILE`: what the embedded base models make of the same test prompts."""

import argparse
import tempfile
from pathlib import Path

from benchmark.core.console import finish
from benchmark.core.records import Checkpoint
from benchmark.generate import generate
from benchmark.models import draws_embedded_world, load_pipeline, models
from benchmark.prompt_sets import load_prompt_set
from benchmark.report.figures import picture_sheet

PROMPTS, SHOWN, IMAGES = "shapes-core", 4, 4


def draw(path: Path) -> None:
    """Writes a sheet with a column a model and four images of the first prompts, each sampled as by default.

    Args:
        path: A .png, .pdf or .svg.
    """
    prompts = load_prompt_set(PROMPTS, SHOWN)
    names = [name for name in models.names() if draws_embedded_world(name)]
    with tempfile.TemporaryDirectory() as folder:
        sets = []
        for name in names:
            pipeline = load_pipeline(name)
            images = generate(
                Checkpoint(name, name), pipeline, prompts, pipeline.sampler, IMAGES, Path(folder)
            )
            sets.append(images)
        picture_sheet(path, sets)


def main() -> None:
    """Parses the command line and draws."""
    parser = argparse.ArgumentParser(prog="python -m tools.studies.base_models", description=__doc__)
    parser.add_argument("file", type=Path, help="the picture to write")
    draw(parser.parse_args().file)


if __name__ == "__main__":
    finish(main)
