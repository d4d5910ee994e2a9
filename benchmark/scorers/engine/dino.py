"""transformers' DINOv2 as an embedding of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import Dinov2Model

from benchmark.networks.pixels import normalise
from benchmark.networks.precision import place, running
from benchmark.networks.pretrained import load_pretrained
from benchmark.scorers.engine.arrays import RGB
from benchmark.scorers.engine.batches import batch_size, prepared_in_batches
from benchmark.scorers.engine.preprocess import dino_pixels
from benchmark.scorers.engine.shown import Shown

SIDE: Final = 224
"""Of what the model is shown, whatever it was trained at: positions are interpolated."""
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


class Dino:
    """Embeddings of images: the class token behind the last normalisation.

    Args:
        folder: The model.
        device: Where to compute.
        key: Names the embeddings: the weights.
        precision: ``fp32`` or ``bf16``.
    """

    def __init__(self, folder: Path, device: str, key: str, precision: str = "fp32") -> None:
        self._model = place(load_pretrained(Dinov2Model, folder), device, precision)
        self._device, self._precision = device, precision
        self._key = key if precision == "fp32" else f"{key}+{precision}"

    def images(self, shown: Shown) -> Float[np.ndarray, "n d"]:
        """Embeddings of images."""
        return np.stack(shown.each(self._key, lambda new: self._embed(new.images)))

    def _embed(self, images: Sequence[RGB]) -> list[Tensor]:
        return prepared_in_batches(images, self._prepare, self._see, batch_size(self._device, SIDE))

    def _prepare(self, image: RGB) -> Tensor:
        return normalise(dino_pixels([image], SIDE), MEAN, STD)[0]

    def _see(self, prepared: Sequence[Tensor]) -> Tensor:
        pixels = torch.stack(list(prepared)).to(self._device)
        with running(self._device, self._precision):
            token: Tensor = self._model(pixel_values=pixels).pooler_output
        return token.float()
