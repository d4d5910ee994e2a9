"""Which files are images: every file below a folder is an image, or is counted and named."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from benchmark.core.errors import UnreadableFileError
from benchmark.core.image_files import find_images, is_image, why_not_decoded
from benchmark.core.pixels import read_rgb

WRITTEN = ("AVIF", "BMP", "DDS", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA",
           "TIFF", "WEBP")  # fmt: skip


def write(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def encoded(kind: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(out, kind)
    return out.getvalue()


def names(folder: Path, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_every_ending_of_a_format_that_pillow_writes_and_reads_is_an_image_in_any_case(
    tmp_path: Path,
) -> None:
    endings = Image.registered_extensions()
    formats = {kind: [end for end, name in endings.items() if name == kind] for kind in WRITTEN}
    for kind, ends in formats.items():
        assert ends, f"Pillow has no ending for {kind}"
        data = encoded(kind)
        for end in (*ends, *(end.upper() for end in ends)):
            file = write(tmp_path / f"picture-{kind}{end}", data)
            assert is_image(file)
            assert read_rgb(file).shape == (16, 16, 3)
    assert {".jfif", ".avif", ".jpe"} <= {end for ends in formats.values() for end in ends}
    found = find_images(tmp_path)
    assert len(found.images) == len(list(tmp_path.iterdir()))
    assert found.passed_over() == ""


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.jxl"])
def test_an_image_that_needs_a_plugin_is_one_and_the_line_names_it(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name, b"nothing that is a picture")
    assert find_images(tmp_path).images == (file,)
    assert "pip install pillow-" in why_not_decoded(file)
    with pytest.raises(UnreadableFileError, match="pip install pillow-"):
        read_rgb(file)


def test_every_file_is_in_one_part_and_the_parts_are_told(tmp_path: Path) -> None:
    images = ["a.png", "b/c.PNG", "b/d/e.jfif", "f.h.webp"]
    others = ["notes.md", "a.txt", "b/table.csv", "film.mpg", "data.h5", "paper.pdf"]
    hidden = [".DS_Store", "._a.png", ".ipynb_checkpoints/a-checkpoint.png", "b/._c.PNG", "Thumbs.db",
              "__MACOSX/b/._c.PNG", "b/.cache/deep/x.png", "desktop.ini", "@eaDir/a.png"]  # fmt: skip
    for name in (*images, *others, *hidden):
        write(tmp_path / name)
    found = find_images(tmp_path)
    assert names(tmp_path, found.images) == sorted(images)
    assert names(tmp_path, found.others) == sorted(others)
    assert names(tmp_path, found.hidden) == sorted(hidden)
    assert found.passed_over().startswith(
        "6 files are no images: a.txt, b/table.csv, data.h5 ...; 9 files are hidden"
    )
    assert found.passed_over(found.others).startswith("9 files are hidden: ")


def test_links_to_folders_are_followed_once_and_cycles_end(tmp_path: Path) -> None:
    for name in ("set/a.png", "set/sub/b.png", "elsewhere/c.png", "elsewhere/more/d.png"):
        write(tmp_path / name)
    folder = tmp_path / "set"
    for place, target in [
        ("link", "../elsewhere"),
        ("self", "."),
        ("sub/up", ".."),
        ("zwice", "../elsewhere"),
        ("early", "sub"),
        (".hidden", "../elsewhere"),
    ]:
        (folder / place).symlink_to(target, target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to("../set", target_is_directory=True)
    found = find_images(folder)
    # Files in place keep their own names, whatever links there are to them.
    assert names(folder, found.images) == ["a.png", "link/c.png", "link/more/d.png", "sub/b.png"]
    assert names(folder, found.repeated) == ["early", "link/back", "self", "sub/up", "zwice"]
    assert names(folder, found.hidden) == [".hidden"]
    assert "5 linked folders are there already: early, link/back, self ..." in found.passed_over()


def test_a_link_to_nothing_is_an_image_that_is_missing_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = find_images(tmp_path)
    assert names(tmp_path, found.images) == ["gone.png", "loop.png"]
    assert names(tmp_path, found.others) == ["pipe.png"]


def test_a_format_that_is_registered_with_pillow_later_would_be_an_image() -> None:
    from benchmark.core import image_files

    Image.register_extension("PNG", ".fbench-new")
    try:
        image_files._endings.cache_clear()
        assert is_image(Path("x.fbench-new"))
    finally:
        del Image.EXTENSION[".fbench-new"]
        image_files._endings.cache_clear()
    assert not is_image(Path("x.fbench-new"))
