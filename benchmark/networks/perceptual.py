"""LPIPS networks, the lpips package's own class: published ones, and the embedded one on SqueezeNet."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import lpips
from torch import Tensor

from benchmark.core.errors import UnreadableFileError
from benchmark.networks.folders import load_strictly, read_weights, save_weights

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
