"""Pictures of any size as squares of one size, and where the square was cut from."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Int, UInt8
from numpy.typing import NDArray

from benchmark.core.errors import UnreadableFileError
from benchmark.core.pixels import decode_rgb
from benchmark.core.records import ImageRef
from benchmark.generate import console_progress
from trainers.arrays import ROWS_AT_ONCE
from trainers.pairs import read_images

MAX_PIXELS = 2 * 512 * 512
"""Of a batch: an autoencoder's first layers would take gigabytes for more."""
Crop: TypeAlias = Literal["centre", "random"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A square of a picture.

    Attributes:
        pixels: uint8, sRGB.
        size_and_crop: Height and width of the whole picture in its own pixels, then top and left of the
            square in pixels after the resizing: what SDXL is conditioned on.
    """

    pixels: UInt8[np.ndarray, "size size 3"]
    size_and_crop: tuple[int, int, int, int]


def fit_square(
    image: UInt8[np.ndarray, "height width 3"], size: int, crop: Crop = "centre", digest: str = ""
) -> Fitted:
    """An image of `size` x `size`: shorter side resized (bicubic, antialiased), then cropped.

    Args:
        image: The whole picture.
        size: Of the square's side.
        crop: `centre`, or `random`: a place drawn from the picture's hash, always the same one.
        digest: That hash, hexadecimal; only `random` reads it.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return Fitted(image, (height, width, 0, 0))
    from PIL import Image

    new_height, new_width = resized(height, width, size)
    pixels = np.asarray(Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BICUBIC))
    top, left = crop_place(height, width, size, crop, digest)
    square = np.ascontiguousarray(pixels[top : top + size, left : left + size])
    return Fitted(square, (height, width, top, left))


def crop_place(height: int, width: int, size: int, crop: Crop, digest: str) -> tuple[int, int]:
    """Top and left of the square in a picture whose shorter side has become `size`."""
    spare_height, spare_width = (side - size for side in resized(height, width, size))
    if crop == "centre":
        return spare_height // 2, spare_width // 2
    # One side has room at most, but for rounding; each gets 32 bits of the hash.
    return (spare_height + 1) * int(digest[:8], 16) >> 32, (spare_width + 1) * int(digest[8:16], 16) >> 32


def resized(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of a picture whose shorter side has become `size`."""
    scale = size / min(height, width)
    return max(size, round(height * scale)), max(size, round(width * scale))


def flipped_crop(size_and_crop: Int[np.ndarray, "n 4"], size: int) -> Int[np.ndarray, "n 4"]:
    """What `size_and_crop` is for the mirror images: the square's left side is where its right side was."""
    out = size_and_crop.copy()
    for row, (height, width, _, left) in zip(out, size_and_crop.tolist(), strict=True):
        row[3] = resized(height, width, size)[1] - size - left if height else 0
    return out


@dataclass(frozen=True, eq=False)
class FittedBatch:
    """Some pictures of a list, as squares.

    Attributes:
        where: Their place in the list.
        pixels: uint8; zeros for a picture that cannot be decoded.
        size_and_crop: See `Fitted`; zeros likewise.
    """

    where: slice
    pixels: UInt8[np.ndarray, "n size size 3"]
    size_and_crop: Int[np.ndarray, "n 4"]


def fitted_batches(
    refs: Sequence[ImageRef], size: int, crop: Crop = "centre", digests: Sequence[str] = ()
) -> Iterator[FittedBatch]:
    """Reads pictures in order and fits them, at most `ROWS_AT_ONCE` at a time, and of large ones fewer.

    Args:
        refs: Where they are.
        size: Of the squares' side.
        crop: See `fit_square`.
        digests: Their hashes; only `random` reads them.
    """
    pixels, sizes, start = [], [], 0
    at_once = max(1, min(ROWS_AT_ONCE, MAX_PIXELS // size**2))
    for i, data in enumerate(read_images(refs)):
        try:
            fitted = fit_square(decode_rgb(data), size, crop, digests[i] if digests else "")
        except UnreadableFileError:
            fitted = Fitted(np.zeros((size, size, 3), dtype=np.uint8), (0, 0, 0, 0))
        pixels.append(fitted.pixels)
        sizes.append(fitted.size_and_crop)
        if len(pixels) == at_once or i + 1 == len(refs):
            yield FittedBatch(slice(start, i + 1), np.stack(pixels), np.array(sizes, dtype=np.int64))
            start, pixels, sizes = i + 1, [], []


def sizes_and_crops(
    refs: Sequence[ImageRef], size: int, crop: Crop, digests: Sequence[str]
) -> NDArray[np.int64]:
    """Decodes every image once: sizes and crops as in the cache, zeros where one cannot be decoded.

    Args:
        refs: The images.
        size: Of the square's side.
        crop: See `fit_square`.
        digests: The images' hashes.
    """
    out = np.zeros((len(refs), 4), dtype=np.int64)

    def one(data: bytes, digest: str) -> tuple[int, int, int, int]:
        try:
            height, width = decode_rgb(data).shape[:2]
        except UnreadableFileError:
            return 0, 0, 0, 0
        return (height, width, *crop_place(height, width, size, crop, digest))

    images = read_images(refs)
    with ThreadPoolExecutor() as pool, console_progress("checking images") as tell:
        tell(0, len(refs))
        for start in range(0, len(refs), ROWS_AT_ONCE):
            part = list(islice(images, ROWS_AT_ONCE))
            out[start : start + len(part)] = list(pool.map(one, part, digests[start : start + len(part)]))
            tell(start + len(part), len(refs))
    return out
