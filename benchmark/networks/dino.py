"""transformers' DINOv2 with the preprocessing of facebook/dinov2-base."""

from math import floor
from pathlib import Path
from typing import ClassVar, Final

from jaxtyping import Float
from torch import Tensor
from transformers import Dinov2Model

from benchmark.networks.inference import Embedder, place
from benchmark.networks.pixels import RGB, centre_crop, normalise
from benchmark.networks.pretrained import load_pretrained

SIDE: Final = 224
"""Of what the model is shown, whatever it was trained at: positions are interpolated."""
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


def dino_pixels(image: RGB, side: int) -> Float[Tensor, "3 side side"]:
    """DINOv2: shortest side to 8/7 of `side` (256 for 224; bicubic, Pillow), centre crop, [0, 1].

    Source: transformers `BitImageProcessor` with the settings of facebook/dinov2-base.
    """
    return centre_crop(image, side, floor, side * 8 // 7)


class Dino(Embedder):
    """Embeddings of images: the class token behind the last normalisation, of any length.

    Args:
        folder: The model.
        device: Where to compute.
        key: Names the embeddings: the weights.
        precision: ``fp32`` or ``bf16``.
    """

    unit: ClassVar[bool] = False

    def __init__(self, folder: Path, device: str, key: str, precision: str = "fp32") -> None:
        self._model = place(load_pretrained(Dinov2Model, folder), device, precision)
        super().__init__(device, key, precision, SIDE, self._model.config.hidden_size)

    def preprocess(self, image: RGB) -> Float[Tensor, "3 side side"]:
        """The model's input, normalised with ImageNet's mean and deviation."""
        return normalise(dino_pixels(image, self.side)[None], MEAN, STD)[0]

    def encode_images(self, inputs: Float[Tensor, "n 3 side side"]) -> Float[Tensor, "n d"]:
        """Class tokens of preprocessed images."""
        token: Tensor = self._model(pixel_values=inputs).pooler_output
        return token
