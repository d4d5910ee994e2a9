"""Evaluates fine-tuned text-to-image checkpoints: images, scorers, statistics, leaderboards."""

__version__ = "0.1.0"
