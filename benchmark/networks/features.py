"""Features of images for distances between sets: Inception v3's, or those of a small network of our own.

Of the small one d is small, so that n >= 5 d is affordable.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from benchmark.networks.folders import load_strictly, read_config, read_weights
from benchmark.networks.inception import Inception, load_inception
from benchmark.networks.inference import Embedder
from benchmark.networks.pixels import RGB

WEIGHTS: Final = "model.safetensors"


class FeatureNet(nn.Module):
    """Residual convolutions, a global pool, then d numbers; torchmetrics takes it as it is.

    Args:
        num_features: d.
        width: Channels after the first convolution.
    """

    def __init__(self, num_features: int = 24, width: int = 24) -> None:
        super().__init__()
        self.num_features, self.width = num_features, width
        widths = [width, 2 * width, 4 * width, 4 * width]
        stages: list[nn.Module] = [nn.Conv2d(3, width, 3, stride=2, padding=1)]
        for a, b in zip([width, *widths], widths, strict=False):
            stages += [_Residual(a, b)]
        self.trunk = nn.Sequential(*stages)
        # Maximum beside mean: a single small object would drown in the mean.
        self.project = nn.Linear(2 * widths[-1], num_features)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Features of images in [0, 1]."""
        grid = self.trunk(images * 2 - 1)
        pooled = nn.functional.adaptive_avg_pool2d(grid, 1), nn.functional.adaptive_max_pool2d(grid, 1)
        out: Tensor = self.project(nn.functional.gelu(torch.cat(pooled, 1).flatten(1)))
        return out


class _Residual(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, out, 3, stride=2, padding=1),
            nn.GroupNorm(8, out), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1),
        )  # fmt: skip
        self.skip = nn.Conv2d(width, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        # Rounded up, as the convolutions are, so that sides need not be multiples of 16.
        out: Tensor = self.skip(nn.functional.avg_pool2d(x, 2, ceil_mode=True)) + self.body(x)
        return out


def load_features(folder: Path) -> FeatureNet:
    """The network of a folder, strictly, for inference.

    Raises:
        MissingWeightsError: if one of the files is not there.
        UnreadableFileError: if they are not what they should be.
    """
    network = FeatureNet(**read_config(folder))
    load_strictly(network, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    return network.eval().requires_grad_(False)


class Features(Embedder):
    """Features of images, always in float32, because small distances are asked of them.

    Args:
        place: A folder with a `FeatureNet`, or a file with Inception's published weights.
        device: Where to compute.
        key: Names the features for all scorers that share them: the weights and the layer.
        layer: Features of Inception: 2048, 768, 192 or 64.
    """

    unit: ClassVar[bool] = False

    def __init__(self, place: Path, device: str, key: str, layer: int = 2048) -> None:
        network = load_features(place) if place.is_dir() else load_inception(place, layer)
        self._network: FeatureNet | Inception = network.to(device)
        side = 64 if isinstance(self._network, FeatureNet) else self._network.INPUT_IMAGE_SIZE
        super().__init__(device, key, "fp32", side, self._network.num_features)

    def preprocess(self, image: RGB) -> UInt8[Tensor, "h w 3"]:
        """The image as it is: Inception resizes by itself, and the small network takes any size."""
        # A copy in its own layout: references may be read-only, of which `from_numpy` warns.
        return torch.from_numpy(image.copy(order="K"))

    def stack(self, inputs: Sequence[Tensor]) -> Tensor:
        """As numpy does, which keeps the layout in memory: another one gives other rounding."""
        return torch.from_numpy(np.stack([image.numpy() for image in inputs]))

    def encode_images(self, inputs: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n d"]:
        """Features of images of one size.

        Raises:
            ValueError: if some are not finite: the weights are broken.
        """
        pixels = inputs.permute(0, 3, 1, 2)
        out: Tensor = self._network(pixels.float() / 255 if isinstance(self._network, FeatureNet) else pixels)
        if not out.isfinite().all():
            raise ValueError("the features are not finite: are the weights whole?")
        return out
