"""Mean pairwise LPIPS: the trunk sees every image once, the lpips package's own layers do the rest."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import lpips
import torch
from torch import Tensor

from benchmark.models.towers.perceptual import load_perceptual
from benchmark.scorers._arrays import RGB
from benchmark.scorers._shown import Shown


class Pairwise:
    """Mean LPIPS over all pairs of images.

    Args:
        folder: The network's.
        device: Where to compute.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self._network = load_perceptual(folder).to(device)
        self._device = device

    @torch.inference_mode()
    def __call__(self, shown: Shown) -> float:
        """The mean over the pairs i < j; images of one size."""
        images = list(shown.images)
        pixels = torch.stack([self._pixels(image) for image in images])
        first, second = (
            torch.tensor(side) for side in zip(*combinations(range(len(images)), 2), strict=True)
        )
        return float(self._distances(pixels, first, second).mean())

    def _pixels(self, image: RGB) -> Tensor:
        return torch.from_numpy(image).permute(2, 0, 1).float().to(self._device) / 127.5 - 1

    def _distances(self, images: Tensor, first: Tensor, second: Tensor) -> Tensor:
        r"""$\sum_l \mathrm{mean}_{hw}\, w_l (\hat y^l_i - \hat y^l_j)^2$."""
        layers: Sequence[Tensor] = self._network.net(self._network.scaling_layer(images))
        unit = [lpips.normalize_tensor(layer) for layer in layers]
        terms = [
            lpips.spatial_average(lin((y[first] - y[second]) ** 2), keepdim=False)
            for lin, y in zip(self._network.lins, unit, strict=True)
        ]
        return torch.stack(terms).sum(0).flatten()
