"""LPIPS networks, the lpips package's own class: published ones, and the embedded one on SqueezeNet."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import lpips
import numpy as np
import torch
from torch import Tensor

from benchmark.core.errors import UnreadableFileError
from benchmark.networks.folders import load_strictly, read_weights
from benchmark.networks.inference import running
from benchmark.networks.pixels import RGB

WEIGHTS: Final = "model.safetensors"

PIXELS: Final = 1 << 20
"""Of the images that go through the trunk together: 4 of 512 x 512, for which VGG keeps a third of a GB."""


def new_perceptual(net: str = "squeeze", *, train_trunk: bool = True) -> lpips.LPIPS:
    """An LPIPS network with random weights: nothing is downloaded.

    Args:
        net: ``squeeze``, ``alex`` or ``vgg``.
        train_trunk: Whether the trunk's weights ask for gradients.
    """
    with warnings.catch_warnings():
        # lpips calls torchvision with arguments it has renamed.
        warnings.simplefilter("ignore", UserWarning)
        return lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, pnet_tune=train_trunk, verbose=False)


def load_perceptual(folder: Path, net: str = "squeeze") -> lpips.LPIPS:
    """The network of a folder, strictly, for inference; images in [-1, 1].

    Raises:
        MissingWeightsError: if the file is not there.
        UnreadableFileError: if it holds other weights.
    """
    network = new_perceptual(net, train_trunk=False)
    load_strictly(network, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    return network.eval().requires_grad_(False)


def published_heads(net: str) -> Path:
    """The file of the linear layers, which the lpips package brings: version 0.1."""
    return Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"


def load_published_perceptual(trunk: Path, net: str = "alex", heads: Path | None = None) -> lpips.LPIPS:
    """The published network: torchvision's trunk, and the linear layers of the lpips package; both strictly.

    Args:
        trunk: torchvision's file, such as ``alexnet-owt-7be5be79.pth``; its classifier is not used.
        net: ``alex``, ``vgg`` or ``squeeze``.
        heads: The linear layers; None: those of the package.

    Raises:
        MissingWeightsError: if a file is not there.
        UnreadableFileError: if it holds other weights.
    """
    heads = heads or published_heads(net)
    network = new_perceptual(net, train_trunk=False)
    _read_trunk(network, read_weights(trunk), trunk)
    linear = read_weights(heads)
    # The package's class holds each linear layer under two names.
    twice = {**linear, **{_in_list(key): value for key, value in linear.items()}}
    kept = {k: v for k, v in network.state_dict().items() if k.startswith(("net.", "scaling_layer."))}
    load_strictly(network, {**kept, **twice}, heads)
    return network.eval().requires_grad_(False)


def _read_trunk(network: lpips.LPIPS, state: Mapping[str, Tensor], source: Path) -> None:
    """``features.N.*`` of torchvision are ``sliceM.N.*`` of lpips."""
    features = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
    other = [k for k in state if not k.startswith(("features.", "classifier."))]
    slices = {key.partition(".")[2]: key for key in network.net.state_dict()}
    if other:
        raise UnreadableFileError(
            source, f"a trunk of LPIPS on {network.pnet_type}", f"unexpected {other[0]}"
        )
    load_strictly(network.net, {slices.get(k, f"features.{k}"): v for k, v in features.items()}, source)


def _in_list(key: str) -> str:
    """``lin3.model.1.weight`` as ``lins.3.model.1.weight``."""
    number, _, rest = key.removeprefix("lin").partition(".")
    return f"lins.{number}.{rest}"


class Pairwise:
    r"""Mean LPIPS over all pairs of K images, by K passes of the trunk and no pairs at all.

    LPIPS is a weighted square of unit features' differences, $d(i, j) = \sum_l \mathrm{mean}_{hw}\, w_l \cdot
    (\hat y^l_i - \hat y^l_j)^2$, and the squared differences of all pairs add up to those about the mean:
    $\sum_{i < j} (a_i - a_j)^2 = K \sum_i (a_i - \bar a)^2$. So the mean over pairs is twice the weighted
    variance, and few images are in memory at a time, whatever K is.

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
    def __call__(self, images: Sequence[RGB]) -> float:
        """The mean over the pairs i < j of at least two images of one size."""
        height, width, _ = images[0].shape
        size = max(1, PIXELS // (height * width))
        together = [_Spread() for _ in self._weights]
        for start in range(0, len(images), size):
            layers = self._unit_features(images[start : start + size])
            for spread, layer, weight in zip(together, layers, self._weights, strict=True):
                spread.add(layer, weight)
        return 2 * sum(spread.squares for spread in together) / (len(images) - 1)

    @torch.inference_mode()
    def pairs(self, images: Sequence[RGB]) -> np.ndarray:
        r"""The distance of each pair of images of one size, (K, K).

        By $\|a_i - a_j\|^2 = \|a_i\|^2 + \|a_j\|^2 - 2 a_i \cdot a_j$ of features about their middle. Where
        the images do not go through the trunk together, each part does again for each part before it.
        """
        height, width, _ = images[0].shape
        size = max(1, PIXELS // (height * width))
        starts = range(0, len(images), size)
        found = np.zeros((len(images), len(images)))
        for i in starts:
            rows = self._weighed(images[i : i + size])
            for j in (start for start in starts if start <= i):
                columns = rows if i == j else self._weighed(images[j : j + size])
                block = sum(_apart(a, b) for a, b in zip(rows, columns, strict=True))
                found[i : i + size, j : j + size] = block
                found[j : j + size, i : i + size] = np.transpose(block)
        return found

    def _weighed(self, images: Sequence[RGB]) -> list[Tensor]:
        r"""Features of each layer times $\sqrt{w / hw}$, flat: LPIPS is the square of their distance."""
        layers = zip(self._unit_features(images), self._weights, strict=True)
        return [
            (layer * (weight.clamp(min=0) / layer[0, 0].numel()).sqrt()).flatten(1)
            for layer, weight in layers
        ]

    def _unit_features(self, images: Sequence[RGB]) -> list[Tensor]:
        pixels = torch.from_numpy(np.stack(list(images))).to(self._device).permute(0, 3, 1, 2).float() / 127.5
        with running(self._device, "fp32"):
            layers: Sequence[Tensor] = self._network.net(self._network.scaling_layer(pixels - 1))
        return [lpips.normalize_tensor(layer) for layer in layers]


def _apart(a: Tensor, b: Tensor) -> np.ndarray:
    """Squared distances of the rows of two matrices, 0 for equal ones."""
    middle = a.mean(0)
    a, b = a - middle, b - middle
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T
    found: np.ndarray = squares.clamp(min=0).double().cpu().numpy()
    return found


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
