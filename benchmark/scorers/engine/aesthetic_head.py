"""The head of the aesthetic predictor on embeddings."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from benchmark.networks.aesthetic import load_aesthetic_head


class Head:
    """Ratings of unit embeddings; on the processor, where five small layers cost nothing.

    Args:
        weights: The head's file.
    """

    def __init__(self, weights: Path) -> None:
        self._layers = load_aesthetic_head(weights).layers

    @torch.inference_mode()
    def __call__(self, embeddings: Float[np.ndarray, "n d"]) -> list[float]:
        """One number an image."""
        rated: list[float] = self._layers(torch.from_numpy(embeddings).float()).squeeze(1).tolist()
        return rated
