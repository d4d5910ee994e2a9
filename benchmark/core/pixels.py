"""From an image file to RGB pixels, one way for all scorers."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from benchmark.core import hashing
from benchmark.core.errors import MissingFileError, UnreadableFileError

if TYPE_CHECKING:
    # numpy and Pillow are not needed to list or to rank, so that those stay quick.
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    RGB: TypeAlias = NDArray[np.uint8]


def read_rgb(path: Path, sha256: str = "") -> "RGB":
    """The pixels of an image file: uint8, (height, width, 3).

    Args:
        path: A PNG, JPEG or anything else Pillow reads.
        sha256: If given, the hash the file must have: a picture changed behind our back would
            otherwise be scored as the checkpoint's.

    Raises:
        MissingFileError: if there is no such file.
        UnreadableFileError: if it is no image, or not the one it was.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingFileError(path, "image") from error
    if sha256 and hashing.sha256_bytes(data) != sha256:
        raise UnreadableFileError(
            path, "the image that was generated", "its content has changed", do="delete it"
        )
    return decode_rgb(data, path)


def decode_rgb(data: bytes, path: Path | str = "<bytes>") -> "RGB":
    """The pixels of an encoded image, such as a cell of a parquet file.

    Raises:
        UnreadableFileError: if the bytes are no image; ``path`` is named in the message.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(data)) as image:
            return to_rgb(ImageOps.exif_transpose(image))
    # Pillow raises SyntaxError and ValueError as well as OSError for broken files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableFileError(path, "an image", error) from error


def to_rgb(image: "Image") -> "RGB":
    """Any Pillow image as RGB: grey, palette, 16 bit and transparent ones included.

    Transparency is laid on white: dropping it would show colours nobody was meant to see.
    """
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would clip 16 bit values at 255 instead of scaling them.
        depth = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") else max(1.0, float(depth.max()))
        grey = np.clip(np.rint(depth * (255.0 / top)), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("RGB"), dtype=np.uint8).copy()
