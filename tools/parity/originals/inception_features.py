"""torch-fidelity's Inception v3: 2048 features of an image."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

PACKAGES = ["torch-fidelity"]


def load(weights: str) -> Callable[[str], list[float]]:
    """The extractor of its metrics."""
    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], weights).eval()

    @torch.no_grad()
    def call(image: str) -> list[float]:
        pixels = torch.from_numpy(np.array(Image.open(image).convert("RGB"))).permute(2, 0, 1)[None]
        out: list[float] = network(pixels)[0].flatten().tolist()
        return out

    return call
