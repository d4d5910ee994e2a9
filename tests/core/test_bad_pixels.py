"""A file that is no whole picture of a sensible size has no pixels, and says why; all others have them."""

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.core.errors import MissingFileError, UnreadableFileError
from benchmark.core.pixels import MAX_PIXELS, MAX_RATIO, decode_rgb, read_rgb

WHY = {
    "zero-byte": "cannot identify",
    "text": "cannot identify",
    "truncated png": "truncated",
    "truncated jpeg": "truncated",
    "jpeg whose tail is zeros": "no end",
    "bomb of pillow's warning": "10000 x 9000 pixels",
    "bomb of pillow's error": "3600000000 pixels",
    "20,000 x 1": "aspect ratio up to 100:1",
    "1 x 20,000": "aspect ratio up to 100:1",
    "animated gif": "holds 2 pictures",
    "animated png": "holds 2 pictures",
    "floats with nan": "not finite",
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", WHY)
def test_what_must_be_refused_says_why(bad_files: Any, name: str, tmp_path: Path) -> None:
    assert WHY.keys() == bad_files.REFUSED.keys()
    (tmp_path / "mine.png").write_bytes(bad_files.REFUSED[name])
    with pytest.raises(UnreadableFileError, match=f"mine.png as an image.*{WHY[name]}"):
        read_rgb(tmp_path / "mine.png")


def test_a_bomb_is_not_decoded(bad_files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise AssertionError("it was decoded")

    from PIL.PngImagePlugin import PngImageFile

    monkeypatch.setattr(PngImageFile, "load", load)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UnreadableFileError, match=f"allowed: {MAX_PIXELS}"):
            decode_rgb(bad_files.REFUSED["bomb of pillow's warning"])
        # Whoever has raised Pillow's own limit is protected as well.
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        with pytest.raises(UnreadableFileError, match="60000 x 60000 pixels"):
            decode_rgb(bad_files.REFUSED["bomb of pillow's error"])


def test_all_others_are_read(bad_files: Any) -> None:
    for name, data in bad_files.READ.items():
        assert decode_rgb(data).shape == (64, 64, 3), name
        assert decode_rgb(data).std() > 10, name
    assert decode_rgb(bad_files.TINY).shape == (1, 1, 3)
    longest = bad_files.encoded(Image.new("RGB", (3 * MAX_RATIO, 3)))
    assert decode_rgb(longest).shape == (3, 300, 3)


def test_no_file_and_a_directory_are_a_missing_image(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for name in ("folder.png", "none.png"):
        with pytest.raises(MissingFileError, match=f"no image at .*{name}"):
            read_rgb(tmp_path / name)


@settings(max_examples=150)
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF"]), data=st.data())
def test_damage_anywhere_gives_pixels_or_one_line(bad_files: Any, kind: str, data: st.DataObject) -> None:
    whole = bytearray(bad_files.encoded(bad_files.picture(16), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with warnings.catch_warnings(), suppress(UnreadableFileError):
        warnings.simplefilter("ignore")
        pixels = decode_rgb(cut)
        assert pixels.shape[2:] == (3,)
        assert pixels.size
        return
    # The same bytes are refused again, in one line.
    with pytest.raises(UnreadableFileError, match=r"^[^\n]*$"):
        decode_rgb(cut)
