"""From an image file to RGB pixels, one way for all scorers."""

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmark.core import hashing
from benchmark.core.errors import MissingFileError, UnreadableFileError
from benchmark.core.image_files import load_plugins, why_not_decoded

if TYPE_CHECKING:
    # numpy and Pillow are not needed to list or to rank, so that those stay quick.
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    RGB: TypeAlias = NDArray[np.uint8]

MAX_PIXELS: Final = 89_478_485
"""Of an image; Pillow's own level of warning, 268 MB of RGB. A small file can claim far more."""

MAX_RATIO: Final = 100
"""Of an image's sides. Preprocessing to a square would make a line of pixels huge, or nothing."""


def read_rgb(path: Path, sha256: str = "") -> "RGB":
    """The pixels of an image file: uint8, (height, width, 3).

    Args:
        path: A PNG, JPEG or anything else Pillow reads.
        sha256: If given, the hash the file must have: a picture changed behind our back would otherwise be
            scored as the checkpoint's.

    Raises:
        MissingFileError: if there is no such file.
        UnreadableFileError: if it is no image, or not the one it was.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingFileError(path, "image", do="copy it there, or leave it out") from error
    if sha256 and hashing.sha256_bytes(data) != sha256:
        raise UnreadableFileError(
            path, "the image that was generated", "its content has changed", do="delete it"
        )
    return decode_rgb(data, path)


def decode_rgb(data: bytes, path: Path | str = "<bytes>") -> "RGB":
    """The pixels of an encoded image, such as a cell of a parquet file; turned as its EXIF says.

    Raises:
        UnreadableFileError: if the bytes are no image, an incomplete one, several, one of more than
            `MAX_PIXELS`, or one with a side more than `MAX_RATIO` times the other; ``path`` is named in the
            message. Sizes are looked at before anything is decoded.
    """
    from PIL import Image, ImageOps

    load_plugins()
    try:
        with Image.open(BytesIO(data)) as image:
            _check(image, data)
            return to_rgb(ImageOps.exif_transpose(image))
    # What is wrong with a file from outside shows as nearly any exception of Pillow and its codecs.
    except Exception as error:
        # Pillow names the buffer it was given, which says nothing to anybody.
        why = re.sub(r" <[^>]*>$", "", str(error)) or error
        raise UnreadableFileError(path, "an image", why, do=why_not_decoded(path)) from error


def _check(image: "Image", data: bytes) -> None:
    """Refuses what must not be decoded, or would be decoded to something else than the file's picture.

    Raises:
        ValueError: with the reason.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels; allowed: {MAX_PIXELS} in all")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise ValueError(f"{width} x {height} pixels; allowed: an aspect ratio up to {MAX_RATIO}:1")
    # A camera's MPO is one photograph with previews of it.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ValueError(f"it holds {getattr(image, 'n_frames', 1)} pictures; a score is about one")
    if image.format in ("JPEG", "MPO") and not _is_whole_jpeg(data):
        raise ValueError("the JPEG has no end: it is truncated")


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether an end of image follows the first scan: what is missing, the decoder may fill with grey."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        fill = data[at + 1 : at + 2] == b"\xff"
        at += 1 if fill else 2 + int.from_bytes(data[at + 2 : at + 4])
    return data.rfind(b"\xff\xd9") > at


def to_rgb(image: "Image") -> "RGB":
    """Any Pillow image as RGB: grey, palette, 16 bit and transparent ones included.

    Transparency is laid on white: dropping it would show colours nobody was meant to see.

    Raises:
        ValueError: for a picture of floats of which some are not finite.
    """
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would clip 16 bit values at 255 instead of scaling them.
        depth = np.asarray(image, dtype=np.float64)
        if not np.isfinite(depth).all():
            raise ValueError("some of its pixels are not finite")
        top = 65535.0 if image.mode.startswith("I") else max(1.0, float(depth.max()))
        grey = np.clip(np.rint(depth * (255.0 / top)), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("RGB"), dtype=np.uint8).copy()
