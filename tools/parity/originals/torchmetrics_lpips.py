"""torchmetrics' LPIPS: its own network and its update, for two images at a time."""

import re
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torchmetrics.functional.image.lpips import _LPIPS, _lpips_update

PACKAGES = ["torchmetrics"]


def load(weights: str, net: Literal["alex", "vgg", "squeeze"]) -> Callable[[str, str], float]:
    """Its network with weights of a file."""
    network = _LPIPS(net=net, pretrained=False, pnet_rand=True).eval()
    wanted = network.state_dict().keys()
    # Its scaling is a constant of the code.
    kept = {k: v for k, v in load_file(weights).items() if not k.startswith("scaling_layer.")}
    # Its SqueezeNet holds its slices in a list.
    network.load_state_dict({k if k in wanted else in_list(k): v.float() for k, v in kept.items()})

    def tensor(path: str) -> torch.Tensor:
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB")))
        return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1

    @torch.no_grad()
    def call(first: str, second: str) -> float:
        return float(_lpips_update(tensor(first), tensor(second), network, normalize=False))

    return call


def in_list(key: str) -> str:
    """`net.slice1.` as `net.slices.0.`."""
    return re.sub(r"^net\.slice(\d)\.", lambda found: f"net.slices.{int(found[1]) - 1}.", key)
