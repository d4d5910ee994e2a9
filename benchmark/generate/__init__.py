"""Checkpoint x PromptSet x seeds -> ImageSet, resumable; importing this room needs no torch."""

from typing import TYPE_CHECKING

from benchmark.core.records import Sampler
from benchmark.generate.distances import with_distances
from benchmark.generate.images import generate
from benchmark.generate.progress import Progress, console_progress
from benchmark.generate.seeds import Shard, image_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.core.pixels import RGB
    from benchmark.models.families.base import Pipeline

__all__ = [
    "Progress", "Shard", "console_progress", "generate", "image_seed", "sample", "sample_walks",
    "with_distances",
]  # fmt: skip


def sample(
    pipeline: "Pipeline",
    prompts: list[str],
    seeds: list[int],
    sampler: Sampler,
    progress: Progress | None = None,
) -> "RGB":
    """Images in memory, for programs that need many and no files.

    Args:
        pipeline: The policy.
        prompts: One for each image.
        seeds: Of each image's generator; see :func:`image_seed`.
        sampler: Steps, guidance, batch size, precision.
        progress: Told after each batch.

    Returns:
        uint8, sRGB, shape (n, height, width, 3), in the order of the prompts.

    Raises:
        FloatingPointError: if an image's latents are not finite.
    """
    from benchmark.generate import sampling

    return sampling.sample(pipeline, prompts, seeds, sampler, progress)


def sample_walks(
    pipeline: "Pipeline", prompts: list[str], seeds: list[int], sampler: Sampler
) -> "NDArray[np.float32]":
    """The latents of every step on the way to images, for estimators that learn from the steps.

    Args:
        pipeline: The policy.
        prompts: One for each image.
        seeds: Of each image's generator.
        sampler: As the images were made; the same walk then ends in the same image, to the bit.

    Returns:
        Shape (n, steps + 1, C, H, W), the noise first.
    """
    from benchmark.generate import sampling

    return sampling.sample_walks(pipeline, prompts, seeds, sampler)
