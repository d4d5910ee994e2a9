"""Which files of a reference count, for every scorer that compares with one, and how many there were."""

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.records import ImageSet, ScoreRow
from benchmark.scorers import make_scorers, scorers
from benchmark.scorers.engine.references import find, images
from benchmark.scorers.engine.styles import style_images, style_places

MakeSet = Callable[..., ImageSet]
COMPARING = sorted(e.name for e in scorers if "reference" in inspect.signature(e.load()).parameters)


def pictures(folder: Path, *names: str, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """One reference as it lies in several folders, and a larger one, once with and once without a link."""
    ten, more = [f"{i}.png" for i in range(10)], [f"more/{i}.png" for i in range(8)]
    made = {
        name: pictures(tmp_path / name / "ref", *ten)
        for name in ("plain", "hidden", "apple", "linked", "both")
    }
    pictures(made["hidden"], ".ipynb_checkpoints/0-checkpoint.png", ".x.png", "__MACOSX/0.png", seed=9)
    (made["apple"] / "._0.png").write_bytes(b"\x00\x05\x16\x07")
    (made["apple"] / ".DS_Store").write_bytes(b"x")
    (made["apple"] / "notes.md").write_text("x")
    pictures(tmp_path / "elsewhere", *more, seed=1)
    (made["linked"] / "more").symlink_to("../../elsewhere/more", target_is_directory=True)
    (made["linked"] / "round").symlink_to(".", target_is_directory=True)
    pictures(made["both"], *more, seed=1)
    return made


def scored(name: str, place: Path, asked: ImageSet) -> list[ScoreRow]:
    (scorer,) = make_scorers([f"{name}(reference={str(place)!r})"], "embedded")
    scorer.load()
    return scorer.score(asked)


def test_every_comparing_scorer_is_tried() -> None:
    assert set(COMPARING) >= {"kid", "fid", "cmmd", "precision", "recall", "density", "coverage"}


@pytest.mark.parametrize("name", COMPARING)
def test_the_same_images_are_the_same_reference_wherever_they_lie(
    name: str, world: Path, make_set: MakeSet, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = make_set(prompts=12, k=2)
    found = {place: scored(name, folder, asked) for place, folder in folders.items()}
    # Values, notes and versions: what counts is the images below the folder and their names in it.
    plain, both = found["plain"], found["both"]
    assert found["hidden"] == plain
    assert found["apple"] == plain
    assert found["linked"][1:] == [*both[1:]]
    assert found["linked"][0] == both[0]
    assert plain[0].scorer_version != both[0].scorer_version
    assert "10 reference images" in plain[0].note
    assert "18 reference images" in both[0].note
    said = capsys.readouterr().err
    assert f"reference {folders['plain']}: 10 images\n" in said
    assert f"reference {folders['hidden']}: 10 images; 3 files are hidden: .ipynb_checkpoints/" in said
    assert (
        f"reference {folders['apple']}: 10 images; 1 file is no image: notes.md; 2 files are hidden" in said
    )
    assert f"reference {folders['linked']}: 18 images; 1 linked folder is there already: round\n" in said


def test_an_image_behind_a_link_that_changes_is_another_reference(
    world: Path, folders: dict[str, Path]
) -> None:
    before = make_scorers([f"kid(reference={str(folders['linked'])!r})"], "embedded")[0].scorer_version
    pictures(folders["linked"].parents[1] / "elsewhere", "more/0.png", seed=77)
    assert (
        make_scorers([f"kid(reference={str(folders['linked'])!r})"], "embedded")[0].scorer_version != before
    )


def test_an_image_that_cannot_be_had_is_one_line_and_never_left_out(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "ref", "a.png", "b.JPEG", "c.jfif", "d.avif", "e.tif")
    path = find("kid", str(folder), embedded=True)
    assert len(images(path)) == 5
    (folder / "f.heic").write_bytes(b"no decoder")
    with pytest.raises(UnreadableFileError, match=r"f\.heic.*pip install pillow-heif"):
        list(images(find("kid", str(folder), embedded=True)))
    (folder / "f.heic").unlink()
    (folder / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(UnreadableFileError, match=r"gone\.png is a link to nothing"):
        find("kid", str(folder), embedded=True)


def test_a_folder_without_images_says_what_lies_there(tmp_path: Path) -> None:
    pictures(tmp_path / "ref", "._a.png")
    with pytest.raises(UnreadableFileError, match=r"there are none: 1 file is hidden: \._a\.png"):
        find("kid", str(tmp_path / "ref"), embedded=True)


@pytest.mark.parametrize("name", ["style_cosine", "style_fd"])
def test_styles_are_counted_and_what_is_of_none_is_told(
    name: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["pop-art/a.png", "pop-art/b.JPG", "ink/sub/c.webp", "ink/._c.png", "loose.png", ".cache/a.png"]
    folder = pictures(tmp_path / "styles", *names)
    (scorer,) = make_scorers([f"{name}(references={str(folder)!r})"], "embedded")
    scorer.load()
    said = capsys.readouterr().err
    assert "reference images by style: ink 1, pop_art 2" in said
    assert "1 file is hidden: ._c.png" in said
    assert "1 image is of no style: loose.png" in said
    places = style_places(name, str(folder), embedded=True)
    assert [len(style_images(place)) for place in places.values()] == [1, 2]
    pictures(folder, "Pop Art/d.png")
    with pytest.raises(UserError, match=r"two folders of one style: Pop Art, pop-art"):
        style_places(name, str(folder), embedded=True)
