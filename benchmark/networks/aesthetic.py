"""The LAION aesthetic predictor's head on CLIP embeddings.

Source: Schuhmann, improved-aesthetic-predictor (2022).
"""

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from benchmark.networks.folders import load_strictly, read_weights

WIDTHS: Final = (768, 1024, 128, 64, 16, 1)
DROPOUT: Final = (0.2, 0.2, 0.1)
"""Behind the first layers; it only counts places in the published names, for inference does not drop."""


class AestheticHead(nn.Module):
    """Linear layers without activations between them, under the published names.

    Args:
        widths: The published ones, or smaller ones for tests; five layers in any case.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(before, after))
            layers += [nn.Dropout(DROPOUT[i])] if i < len(DROPOUT) else []
        self.layers = nn.Sequential(*layers)

    @torch.inference_mode()
    def rate(self, embeddings: Float[np.ndarray, "n d"]) -> list[float]:
        """One number for each unit embedding; on the processor, where five small layers cost nothing."""
        rated: list[float] = self.layers(torch.from_numpy(embeddings).float()).squeeze(1).tolist()
        return rated


def load_aesthetic_head(weights: Path) -> AestheticHead:
    """The head of a file of published layout, strictly, for inference; its widths follow from the file.

    Raises:
        MissingWeightsError: if there is no such file.
        UnreadableFileError: if it holds other weights.
    """
    state = read_weights(weights)
    biases = [state[key].shape[0] for key in state if key.endswith(".bias")]
    head = (
        AestheticHead((state["layers.0.weight"].shape[1], *biases))
        if "layers.0.weight" in state
        else AestheticHead()
    )
    load_strictly(head, state, weights)
    return head.eval().requires_grad_(False)
