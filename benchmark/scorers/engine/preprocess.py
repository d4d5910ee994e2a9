"""Official preprocessing: from RGB pixels to the tensors that the published models were trained on."""

from collections.abc import Callable, Sequence
from math import floor
from typing import TypeAlias

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import pad, resize, to_tensor

from benchmark.scorers.engine.arrays import RGB

Preprocess: TypeAlias = Callable[[Sequence[RGB], int], Float[Tensor, "n 3 s s"]]


def clip_pixels(images: Sequence[RGB], side: int) -> Float[Tensor, "n 3 s s"]:
    """CLIP and ImageReward: shortest side to `side` (bicubic, Pillow), centre crop, [0, 1].

    Source: open_clip `transform.py` and ImageReward `ImageReward.py`, both by torchvision, which rounds half
    a pixel of the crop's place to the even side.
    """
    return torch.stack([_clip_one(image, side, round) for image in images])


def pickscore_pixels(images: Sequence[RGB], side: int) -> Float[Tensor, "n 3 s s"]:
    """PickScore: as CLIP, but half a pixel of the crop's place is rounded down.

    Source: transformers `CLIPImageProcessor`, which PickScore's model card calls.
    """
    return torch.stack([_clip_one(image, side, floor) for image in images])


def dino_pixels(images: Sequence[RGB], side: int) -> Float[Tensor, "n 3 s s"]:
    """DINOv2: shortest side to 8/7 of `side` (256 for 224; bicubic, Pillow), centre crop, [0, 1].

    Source: transformers `BitImageProcessor` with the settings of facebook/dinov2-base.
    """
    return torch.stack([_clip_one(image, side, floor, side * 8 // 7) for image in images])


def stretched_pixels(images: Sequence[RGB], side: int) -> Float[Tensor, "n 3 s s"]:
    """BLIP: `side` x `side` (bicubic, Pillow) whatever the image's shape, [0, 1].

    Source: transformers `BlipImageProcessor`.
    """
    size = (side, side)
    resized = [Image.fromarray(image).resize(size, Image.Resampling.BICUBIC) for image in images]
    return torch.stack([to_tensor(image) for image in resized])


def square_pixels(images: Sequence[RGB], side: int) -> Float[Tensor, "n 3 s s"]:
    """CMMD: the centred square, then that to `side` (bicubic, Pillow), [0, 1]."""
    return torch.stack([_square_one(image, side) for image in images])


def hps_pixels(images: Sequence[RGB], side: int) -> Float[Tensor, "n 3 s s"]:
    """HPS v2: longest side to `side` (bicubic on the float tensor, antialias), zeros around it to a square.

    The zeros stand in [0, 1], so that normalising makes them CLIP's black.
    """
    return torch.stack([_hps_one(image, side) for image in images])


def _tensor(image: RGB) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def _clip_one(image: RGB, side: int, rounded: Callable[[float], int], shortest: int | None = None) -> Tensor:
    shortest = shortest or side
    if image.shape[:2] == (side, side) == (shortest, shortest):
        return _tensor(image)
    resized = resize(Image.fromarray(image), shortest, InterpolationMode.BICUBIC)
    left, top = (rounded((length - side) / 2) for length in resized.size)
    out: Tensor = to_tensor(resized.crop((left, top, left + side, top + side)))
    return out


def _square_one(image: RGB, side: int) -> Tensor:
    height, width = image.shape[:2]
    edge = min(height, width)
    down, right = (height - edge) // 2, (width - edge) // 2
    square = image[down : down + edge, right : right + edge]
    out: Tensor = to_tensor(Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC))
    return out


def _hps_one(image: RGB, side: int) -> Tensor:
    pixels = _tensor(image)
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale != 1:
        height, width = round(height * scale), round(width * scale)
        pixels = resize(pixels, [height, width], InterpolationMode.BICUBIC, antialias=True)
    down, right = side - height, side - width
    padded: Tensor = pad(pixels, [right // 2, down // 2, right - right // 2, down - down // 2], fill=0)
    return padded
