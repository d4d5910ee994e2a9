"""Grey levels of an image."""

import numpy as np
from PIL import Image

from benchmark.scorers.engine.arrays import RGB


def grey_entropy(image: RGB) -> float:
    r"""$-\sum_g p_g \log_2 p_g$ over the 256 grey levels, in bits."""
    p = np.array(Image.fromarray(image).convert("L").histogram()) / image[..., 0].size
    p = p[p > 0]
    return float(max(0.0, -(p * np.log2(p)).sum()))
