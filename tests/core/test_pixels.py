"""Every image file becomes the RGB that a person sees, or an error that names it."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.core.errors import MissingFileError, UnreadableFileError
from benchmark.core.hashing import sha256_file
from benchmark.core.pixels import decode_rgb, read_rgb, to_rgb
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_png_is_read_to_the_bit() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(decode_rgb(png(Image.fromarray(pixels))), pixels)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (2, 2), 128), (128, 128, 128)),
        (Image.new("1", (2, 2), 1), (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 255)), (255, 0, 0)),
        (Image.new("LA", (2, 2), (10, 0)), (255, 255, 255)),
        (Image.new("RGB", (2, 2), (1, 2, 3)).quantize(4), (1, 2, 3)),
        (Image.fromarray(np.full((2, 2), 32896, dtype=np.uint16)), (128, 128, 128)),
    ],
    ids=["grey", "bit", "transparent", "opaque", "grey with alpha", "palette", "16 bit"],
)
def test_every_mode_becomes_what_is_seen(image: Image.Image, expected: tuple[int, ...]) -> None:
    for pixels in (to_rgb(image), decode_rgb(png(image))):
        assert pixels.dtype == np.uint8
        assert pixels.shape == (2, 2, 3)
        assert tuple(pixels[0, 0]) == expected


def test_a_turned_photograph_is_turned_back() -> None:
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    Image.new("RGB", (4, 2)).save(buffer, "JPEG", exif=exif)
    assert decode_rgb(buffer.getvalue()).shape == (4, 2, 3)


@pytest.mark.parametrize("data", [b"", b"no image", png(Image.new("RGB", (64, 64), 9))[:60]])
def test_broken_bytes_are_one_line_that_names_the_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(data)
    with pytest.raises(UnreadableFileError, match="broken.png as an image"):
        read_rgb(path)


def test_a_missing_image_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "a_001.png").write_bytes(b"")
    with pytest.raises(MissingFileError, match=r"no image at .*a_002.png; did you mean a_001.png\?"):
        read_rgb(tmp_path / "a_002.png")


def test_an_image_set_opens_only_what_was_generated(tmp_path: Path) -> None:
    path = tmp_path / "a_0.png"
    path.write_bytes(png(Image.new("RGB", (2, 2), (1, 2, 3))))
    made = ImageRecord("a", 0, path, sha256_file(path))
    failed = ImageRecord("a", 1, tmp_path / "a_1.png", status="error", note="out of memory")
    images = ImageSet(
        "i",
        Checkpoint("base", "shapes"),
        PromptSet("s", "1", (Prompt("a", "a star"),)),
        Sampler(),
        (0, 1),
        (made, failed),
    )
    assert images.ok == (made,)
    assert len(images) == 2
    assert images.prompt(failed).text == "a star"
    assert tuple(images.open(made)[0, 0]) == (1, 2, 3)
    path.write_bytes(png(Image.new("RGB", (2, 2), (9, 9, 9))))
    with pytest.raises(UnreadableFileError, match="its content has changed"):
        images.open(made)
