r"""Mean pairwise LPIPS of K images by K passes of the trunk, and no pairs at all.

LPIPS is a weighted square of unit features' differences, $d(i, j) = \sum_l \mathrm{mean}_{hw}\, w_l \cdot
(\hat y^l_i - \hat y^l_j)^2$, and the squared differences of all pairs add up to the squares about the mean:
$\sum_{i < j} (a_i - a_j)^2 = K \sum_i (a_i - \bar a)^2$. So the mean over pairs is twice the weighted
variance, and few images are in memory at a time, whatever K is.
"""

from collections.abc import Sequence
from typing import Final

import lpips
import numpy as np
import torch
from torch import Tensor

from benchmark.networks.precision import running
from benchmark.scorers.engine.arrays import RGB
from benchmark.scorers.engine.shown import Shown

PIXELS: Final = 1 << 20
"""Of the images that go through the trunk together: 4 of 512 x 512, for which VGG keeps a third of a GB."""


class Pairwise:
    """Mean LPIPS over all pairs of images.

    Args:
        network: Trunk and heads; images in [-1, 1].
        device: Where to compute.
    """

    def __init__(self, network: lpips.LPIPS, device: str) -> None:
        # Channels last: the convolutions of these trunks take half the time on a processor.
        self._network = network.to(device, memory_format=torch.channels_last)
        self._weights = [lin.model[-1].weight.flatten()[:, None, None] for lin in network.lins]
        self._device = device

    @torch.inference_mode()
    def __call__(self, shown: Shown) -> float:
        """The mean over the pairs i < j of at least two images of one size."""
        images = shown.images
        height, width, _ = images[0].shape
        size = max(1, PIXELS // (height * width))
        together = [_Spread() for _ in self._weights]
        for start in range(0, len(images), size):
            layers = self._unit_features(images[start : start + size])
            for spread, layer, weight in zip(together, layers, self._weights, strict=True):
                spread.add(layer, weight)
        return 2 * sum(spread.squares for spread in together) / (len(images) - 1)

    def _unit_features(self, images: Sequence[RGB]) -> list[Tensor]:
        pixels = torch.from_numpy(np.stack(list(images))).to(self._device).permute(0, 3, 1, 2).float() / 127.5
        with running(self._device, "fp32"):
            layers: Sequence[Tensor] = self._network.net(self._network.scaling_layer(pixels - 1))
        return [lpips.normalize_tensor(layer) for layer in layers]


class _Spread:
    r"""A layer's mean and $\mathrm{mean}_{hw}\, w \cdot \sum_i (a_i - \bar a)^2$, some images at a time."""

    def __init__(self) -> None:
        self.squares = 0.0
        self._mean: Tensor | None = None
        self._count = 0

    def add(self, features: Tensor, weight: Tensor) -> None:
        """Some more images, (n, c, h, w); two parts add up with the square of their means' distance."""
        n, before = len(features), self._count
        mean = features.mean(0)
        self.squares += float(((features - mean).square().sum(0) * weight).sum(0).mean())
        if self._mean is None:
            self._mean = mean
        else:
            apart = mean - self._mean
            between = (apart.square() * weight).sum(0).mean()
            self.squares += float(between) * n * before / (n + before)
            self._mean += apart * (n / (n + before))
        self._count = n + before
