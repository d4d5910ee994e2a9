"""ImageReward's network with its preprocessing."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmark.networks.blip import (
    load_published_reward_net,
    load_reward_net,
    load_reward_tokenizer,
    reward_tokens,
)
from benchmark.networks.pixels import normalise
from benchmark.networks.precision import place, running
from benchmark.scorers.engine.arrays import RGB
from benchmark.scorers.engine.batches import batch_size, prepared_in_batches
from benchmark.scorers.engine.preprocess import clip_pixels
from benchmark.scorers.engine.shown import Shown


class Reward:
    """Rewards of images for their prompts.

    Args:
        folder: With ``ImageReward.pt`` or our config.json and model.safetensors.
        tokenizer: With ``vocab.txt``.
        device: Where to compute.
        precision: ``fp32`` or ``bf16``; the head is always in float32.
    """

    def __init__(self, folder: Path, tokenizer: Path, device: str, precision: str = "fp32") -> None:
        published = folder / "ImageReward.pt"
        network = load_published_reward_net(published) if published.is_file() else load_reward_net(folder)
        place(network.vision, device, precision)
        place(network.text, device, precision)
        self._network = network.to(device)
        self._tokenizer = load_reward_tokenizer(tokenizer)
        self._device, self._precision = device, precision
        self._side = int(network.config.vision["image_size"])

    def __call__(self, shown: Shown) -> list[float]:
        """One number an image."""
        images, texts = shown.images, shown.texts

        def prepare(row: int) -> tuple[Tensor, str]:
            return self._prepare(images[row]), texts[row]

        size = batch_size(self._device, self._side)
        return [
            float(value) for value in prepared_in_batches(range(len(texts)), prepare, self._compute, size)
        ]

    def _prepare(self, image: RGB) -> Tensor:
        return normalise(clip_pixels([image], self._side))[0]

    def _compute(self, prepared: Sequence[tuple[Tensor, str]]) -> Tensor:
        pixels = torch.stack([image for image, _ in prepared])
        ids, mask = reward_tokens(
            self._tokenizer, [text for _, text in prepared], self._network.config.max_tokens
        )
        with running(self._device, self._precision):
            out: Tensor = self._network(*(t.to(self._device) for t in (pixels, ids, mask)))
        return out
