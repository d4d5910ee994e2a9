"""LPIPS networks, the lpips package's own class: published ones, and the embedded one on SqueezeNet."""

import warnings
from pathlib import Path
from typing import Final

import lpips

from benchmark.models.towers.folders import load_strictly, read_weights, save_weights

WEIGHTS: Final = "model.safetensors"


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


def save_perceptual(network: lpips.LPIPS, folder: Path) -> None:
    """Writes the whole state, trunk and linear layers, as model.safetensors."""
    save_weights(network, folder / WEIGHTS)


def load_perceptual(folder: Path, net: str = "squeeze") -> lpips.LPIPS:
    """The network of a folder, strictly, for inference; images in [-1, 1].

    Raises:
        MissingWeightsError: if the file is not there.
        UnreadableFileError: if it holds other weights.
    """
    network = new_perceptual(net, train_trunk=False)
    load_strictly(network, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    return network.eval().requires_grad_(False)
