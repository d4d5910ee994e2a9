"""Evaluates fine-tuned text-to-image checkpoints: images, scorers, statistics, leaderboards."""
