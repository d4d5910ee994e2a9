"""Images of a run's checkpoints, of the same captions and noise each time: to look at, never to rank by."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from benchmark.core import store
from benchmark.generate import image_seed, sample
from benchmark.models.families.base import Pipeline
from trainers.networks import Policy

FOLDER: Final = "validation"
COLUMNS: Final = 8


def validation_images(
    pipeline: Pipeline, policy: Policy, captions: Sequence[str]
) -> UInt8[np.ndarray, "n height width 3"]:
    """One image a caption, by the base model's own sampler.

    Args:
        pipeline: The base model.
        policy: Its weights in training.
        captions: At least one.
    """
    size = min(len(captions), pipeline.sampler.batch_size)
    sampler = replace(pipeline.sampler, batch_size=size)
    seeds = [image_seed(sampler, caption, 0) for caption in captions]
    with policy.active() as network:
        training = network.training
        network.eval()
        try:
            return sample(pipeline.with_network(network), list(captions), seeds, sampler)
        finally:
            network.train(training)


def write_strip(images: UInt8[np.ndarray, "n height width 3"], run: Path, step: int) -> Path:
    """The images of a step as one picture, `validation/step-000100.png`, in rows of eight."""
    from PIL import Image

    n, height, width, _ = images.shape
    rows, columns = -(-n // COLUMNS), min(n, COLUMNS)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // COLUMNS * height, i % COLUMNS * width
        sheet[top : top + height, left : left + width] = image
    buffer = BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    place = run / FOLDER / f"step-{step:06d}.png"
    store.write_bytes(place, buffer.getvalue())
    return place
