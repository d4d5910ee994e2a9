"""Features of images for distances between sets: the embedded network's, or Inception v3's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.networks.features import FeatureNet, load_features
from benchmark.networks.inception import Inception, load_inception
from benchmark.networks.precision import running
from benchmark.scorers.engine.arrays import RGB, Matrix
from benchmark.scorers.engine.batches import batch_size, in_batches
from benchmark.scorers.engine.shown import Shown


class Features:
    """A feature network over images; always in float32, because small distances are asked of it.

    Args:
        place: A folder with a `FeatureNet`, or a file with Inception's published weights.
        device: Where to compute.
        key: Names the features for all scorers that share them: the weights and the layer.
        layer: Features of Inception: 2048, 768, 192 or 64.
    """

    def __init__(self, place: Path, device: str, key: str, layer: int = 2048) -> None:
        network = load_features(place) if place.is_dir() else load_inception(place, layer)
        self._network: FeatureNet | Inception = network.to(device)
        self._device, self.key = device, key

    @property
    def size(self) -> int:
        """D."""
        return self._network.num_features

    def of(self, shown: Shown) -> Matrix:
        """Features of images, shared by whoever asks.

        Raises:
            ValueError: if some are not finite: the weights are broken.
        """
        return _finite(np.stack(shown.each(self.key, lambda new: self.compute(new.images))))

    def of_images(self, images: Sequence[RGB]) -> Matrix:
        """The same for images that belong to no set, such as references."""
        return _finite(torch.stack(self.compute(images)).numpy())

    def compute(self, images: Sequence[RGB]) -> list[Tensor]:
        """Features of each image."""
        side = 64 if isinstance(self._network, FeatureNet) else self._network.INPUT_IMAGE_SIZE
        return in_batches(images, self._forward, batch_size(self._device, side))

    def _forward(self, images: Sequence[RGB]) -> Tensor:
        """One size at a time: nothing is resized but by the network itself."""
        out: list[Tensor] = [torch.empty(0)] * len(images)
        for size in dict.fromkeys(image.shape for image in images):
            rows = [i for i, image in enumerate(images) if image.shape == size]
            found = self._same_size(np.stack([images[i] for i in rows]))
            for i, row in zip(rows, found, strict=True):
                out[i] = row
        return torch.stack(out)

    def _same_size(self, images: "np.ndarray") -> Tensor:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(self._device)
        if isinstance(self._network, FeatureNet):
            pixels = pixels.float() / 255
        with running(self._device, "fp32"):
            out: Tensor = self._network(pixels)
        return out


def _finite(features: Matrix) -> Matrix:
    if not np.isfinite(features).all():
        raise ValueError("the features are not finite: are the weights whole?")
    return features
