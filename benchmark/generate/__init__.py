"""Checkpoint x PromptSet x seeds -> ImageSet, resumable; importing this room needs no torch."""

from benchmark.generate.images import generate
from benchmark.generate.progress import Progress, console_progress
from benchmark.generate.seeds import Shard, image_seed

__all__ = ["Progress", "Shard", "console_progress", "generate", "image_seed"]
