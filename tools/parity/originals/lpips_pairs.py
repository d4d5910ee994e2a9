"""The lpips package, called for two images at a time."""

from collections.abc import Callable

import lpips
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

PACKAGES = ["lpips"]


def load(weights: str, net: str) -> Callable[[str, str], float]:
    """One of its networks with weights of a file."""
    network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False).eval()
    network.load_state_dict({k: v.float() for k, v in load_file(weights).items()})

    @torch.no_grad()
    def call(first: str, second: str) -> float:
        pair = [lpips.im2tensor(np.array(Image.open(image).convert("RGB"))) for image in (first, second)]
        return float(network(*pair))

    return call
