"""From RGB pixels to what networks read: the parts of preprocessing that several of them share."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize, to_tensor

RGB: TypeAlias = UInt8[np.ndarray, "_ _ 3"]

CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)


def normalise(
    images: Float[Tensor, "n 3 h w"], mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> Float[Tensor, "n 3 h w"]:
    """(x - mean) / std for each channel of images in [0, 1]."""
    shape = (1, 3, 1, 1)
    centre = torch.tensor(mean, dtype=images.dtype, device=images.device).view(shape)
    spread = torch.tensor(std, dtype=images.dtype, device=images.device).view(shape)
    return (images - centre) / spread


def unit_range(image: RGB) -> Float[Tensor, "3 h w"]:
    """Pixels as a tensor in [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def centre_crop(
    image: RGB, side: int, rounded: Callable[[float], int], shortest: int | None = None
) -> Float[Tensor, "3 side side"]:
    """Shortest side to `shortest` (bicubic, Pillow), then the square in the middle, in [0, 1].

    Args:
        image: Of any size.
        side: Of the square.
        rounded: What becomes of half a pixel of the square's place: torchvision rounds it to the even side,
            transformers rounds it down.
        shortest: None: as `side`.
    """
    shortest = shortest or side
    if image.shape[:2] == (side, side) == (shortest, shortest):
        return unit_range(image)
    resized = resize(Image.fromarray(image), shortest, InterpolationMode.BICUBIC)
    left, top = (rounded((length - side) / 2) for length in resized.size)
    out: Tensor = to_tensor(resized.crop((left, top, left + side, top + side)))
    return out


def stretched(image: RGB, side: int) -> Float[Tensor, "3 side side"]:
    """`side` x `side` (bicubic, Pillow) whatever the image's shape, in [0, 1]."""
    out: Tensor = to_tensor(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    return out
