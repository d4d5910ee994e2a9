"""torchmetrics' LPIPS: its own network and its update, for two images at a time."""

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torchmetrics.functional.image.lpips import _LPIPS, _lpips_update

PACKAGES = ["torchmetrics"]


def load(weights, net):
    """Its network with weights of a file."""
    network = _LPIPS(net=net, pretrained=False, pnet_rand=True).eval()
    wanted = network.state_dict().keys()
    # The package keeps each linear layer twice, as lin0 and as lins.0.
    given = {k: v.float() for k, v in load_file(weights).items() if not k.startswith("lins.")}
    network.load_state_dict({k: v for k, v in given.items() if k in wanted})

    def tensor(path):
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB")))
        return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1

    @torch.no_grad()
    def call(first, second):
        return float(_lpips_update(tensor(first), tensor(second), network, normalize=False))

    return call
