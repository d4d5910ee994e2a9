"""Frechet distance to a fixed reference, by torchmetrics, on features that are computed once an image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from benchmark.models.towers.features import load_features
from benchmark.scorers._arrays import RGB
from benchmark.scorers._batches import in_batches
from benchmark.scorers._shown import Shown


class Features:
    """A feature network over images.

    Args:
        folder: The network's.
        device: Where to compute.
        key: Names the features for all scorers that share them.
    """

    def __init__(self, folder: Path, device: str, key: str) -> None:
        self._network = load_features(folder).to(device)
        self._device, self._key = device, key

    @property
    def size(self) -> int:
        """D."""
        return self._network.num_features

    def of(self, shown: Shown) -> Float[Tensor, "n d"]:
        """Features of images, shared by whoever asks."""
        return torch.from_numpy(np.stack(shown.each(self._key, lambda new: self.compute(new.images))))

    def compute(self, images: Sequence[RGB]) -> list[Tensor]:
        """Features of images."""
        return in_batches(images, self._forward)

    def _forward(self, images: Sequence[RGB]) -> Tensor:
        pixels = torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2).float() / 255
        out: Tensor = self._network(pixels.to(self._device))
        return out


class _Given(nn.Identity):
    """Stands where torchmetrics expects a network: the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


class FrechetTo:
    r"""$\|\mu - \mu_r\|^2 + \mathrm{tr}(\Sigma + \Sigma_r - 2 (\Sigma \Sigma_r)^{1/2})$ in float64.

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017, Eq. 6.

    Args:
        reference: Features, (m, d).
    """

    def __init__(self, reference: Float[Tensor, "m d"]) -> None:
        self._metric = FrechetInceptionDistance(
            feature=_Given(reference.shape[1]), reset_real_features=False, normalize=True
        )
        self._metric.update(reference.double(), real=True)

    def __call__(self, features: Float[Tensor, "n d"]) -> float:
        """The distance of features (n, d)."""
        self._metric.reset()
        self._metric.update(features.double(), real=False)
        return float(self._metric.compute())
