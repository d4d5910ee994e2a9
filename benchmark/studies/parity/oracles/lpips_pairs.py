"""The lpips package, called for two images at a time."""

import lpips
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

PACKAGES = ["lpips"]


def load(weights, net):
    """One of its networks with weights of a file."""
    network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False).eval()
    network.load_state_dict({k: v.float() for k, v in load_file(weights).items()})

    @torch.no_grad()
    def call(first, second):
        pair = [lpips.im2tensor(np.array(Image.open(image).convert("RGB"))) for image in (first, second)]
        return float(network(*pair))

    return call
