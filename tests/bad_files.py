"""Image files as people really have them: some must be refused, the others must be read.

For the fixture ``bad_files`` of conftest.py, which loads this file where a test asks for it.
"""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64


def picture(side: int = SIDE) -> Image.Image:
    """A picture with some structure in it."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as a file's bytes."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large: a decompression bomb."""
    data = bytearray(encoded(Image.new("L", (1, 1))))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture(), "JPEG", exif=exif)


def _frames(kind: str) -> bytes:
    return encoded(picture(), kind, save_all=True, append_images=[Image.new("RGB", (SIDE, SIDE))])


def _jpeg_with_tail(tail: bytes) -> bytes:
    data = encoded(picture(), "JPEG", quality=95)
    return data[: len(data) // 2] + tail * (len(data) - len(data) // 2)


def _deep() -> bytes:
    grey = np.asarray(picture().convert("L"), dtype=np.uint16) * 257
    return encoded(Image.fromarray(grey))


REFUSED = {
    "zero-byte": b"",
    "text": b"404: not found",
    "truncated png": encoded(picture())[:500],
    "truncated jpeg": _jpeg_with_tail(b""),
    "jpeg whose tail is zeros": _jpeg_with_tail(b"\0"),
    "bomb of pillow's warning": _claiming(10_000, 9_000),
    "bomb of pillow's error": _claiming(60_000, 60_000),
    "20,000 x 1": encoded(Image.new("RGB", (20_000, 1))),
    "1 x 20,000": encoded(Image.new("RGB", (1, 20_000))),
    "animated gif": _frames("GIF"),
    "animated png": _frames("PNG"),
    "floats with nan": encoded(Image.fromarray(np.full((SIDE, SIDE), np.nan, np.float32)), "TIFF"),
}
"""Their row has no number."""

READ = {
    "rgba": encoded(picture().convert("RGBA")),
    "cmyk": encoded(picture().convert("CMYK"), "JPEG"),
    "16 bit": _deep(),
    "grey": encoded(picture().convert("L")),
    "palette": encoded(picture().quantize(16)),
    "turned by exif": _turned(),
    "webp": encoded(picture(), "WEBP"),
    "gif of one frame": encoded(picture(), "GIF"),
}
"""64 x 64 pixels, and as good as any."""

TINY = encoded(picture(1))
"""1 x 1 pixel: for some scorers an image, for others an error."""


def write(path: Path, name: str) -> None:
    """Puts one of them in a file's place; ``missing`` and ``directory`` put nothing there."""
    path.unlink(missing_ok=True)
    if name == "directory":
        path.mkdir()
    elif name != "missing":
        path.write_bytes({**REFUSED, **READ, "1 x 1": TINY}[name])
