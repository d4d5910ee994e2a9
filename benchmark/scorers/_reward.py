"""ImageReward's network with its preprocessing."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from benchmark.models.towers.blip import (
    load_published_reward_net,
    load_reward_net,
    load_reward_tokenizer,
    reward_tokens,
)
from benchmark.models.towers.pixels import normalise
from benchmark.scorers._arrays import RGB
from benchmark.scorers._batches import in_batches
from benchmark.scorers._preprocess import clip_pixels
from benchmark.scorers._shown import Shown


class Reward:
    """Rewards of images for their prompts.

    Args:
        folder: With ``ImageReward.pt`` or our config.json and model.safetensors.
        tokenizer: With ``vocab.txt``.
        device: Where to compute.
    """

    def __init__(self, folder: Path, tokenizer: Path, device: str) -> None:
        published = folder / "ImageReward.pt"
        network = load_published_reward_net(published) if published.is_file() else load_reward_net(folder)
        self._network = network.to(device)
        self._tokenizer = load_reward_tokenizer(tokenizer)
        self._device = device
        self._side = int(network.config.vision["image_size"])

    def __call__(self, shown: Shown) -> list[float]:
        """One number an image."""
        images, texts = shown.images, shown.texts

        def compute(rows: Sequence[int]) -> Tensor:
            return self._compute([images[i] for i in rows], [texts[i] for i in rows])

        return [float(value) for value in in_batches(range(len(texts)), compute)]

    def _compute(self, images: Sequence[RGB], texts: Sequence[str]) -> Tensor:
        pixels = normalise(clip_pixels(images, self._side))
        ids, mask = reward_tokens(self._tokenizer, texts, self._network.config.max_tokens)
        out: Tensor = self._network(*(t.to(self._device) for t in (pixels, ids, mask)))
        return out
