"""A reference's features written once are the reference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.core.records import ImageSet
from benchmark.scorers import make_scorers
from benchmark.workflows.reference import ReferenceFile, write_reference

MakeSet = Callable[..., ImageSet]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(9):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(("name", "d"), [("kid", 4), ("cmmd", 16)])
def test_written_features_give_the_same_numbers(
    name: str, d: int, world: Path, make_set: MakeSet, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "photos.npz"
    written = write_reference(f"{name}(reference={str(photos)!r})", out, "embedded", "cpu")
    assert isinstance(written, ReferenceFile)
    assert (written.scorer, written.images, written.features) == (name, 9, d)
    assert "photos" in written.version
    images, values = make_set(prompts=4), []
    for place in (photos, out):
        (scorer,) = make_scorers([f"{name}(reference={str(place)!r})"], "embedded")
        scorer.load()
        values.append([row.value for row in scorer.score(images)])
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_a_scorer_without_a_reference_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clip compares with no reference set"):
        write_reference("clip", tmp_path / "no.npz", "embedded", "cpu")


def test_nothing_is_overwritten_and_the_place_is_looked_at_first(photos: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.npz"
    precious.write_text("mine")
    call = f"kid(reference={str(photos)!r})"
    for out, said in (
        (tmp_path / "precious.txt", r"ends in \.npz"),
        (precious, "no .npz"),
        (tmp_path / "nowhere" / "a.npz", "no such folder"),
    ):
        with pytest.raises(UserError, match=said):
            write_reference(call, out, "embedded", "cpu")
    with pytest.raises(UserError, match="allowed: published, embedded"):
        write_reference(call, tmp_path / "a.npz", "embeded", "cpu")
    assert precious.read_text() == "mine"
