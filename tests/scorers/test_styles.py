"""Style alignment against a user's own folders."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.records import ImageSet
from benchmark.networks.features import Features, load_features
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.distances import Gaussian, frechet_distance
from benchmark.scorers.engine.references import renders
from benchmark.scorers.engine.styles import style_places

MakeSet = Callable[..., ImageSet]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two styles of a user's, each a folder of images."""
    for i, image in enumerate(renders()[:60]):
        place = tmp_path / "own" / ("Ink Wash" if i % 3 else "pop-art") / f"{i:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    (tmp_path / "own" / "notes").mkdir()
    return tmp_path / "own"


def asking(images: ImageSet, styles: list[str | None]) -> ImageSet:
    """The same images, their prompts asking for styles in turn."""
    asked = [replace(p, style=styles[i % len(styles)]) for i, p in enumerate(images.prompt_set)]
    return replace(images, prompt_set=replace(images.prompt_set, prompts=tuple(asked)))


def test_each_style_is_compared_with_its_own_folder(world: Path, make_set: MakeSet, folder: Path) -> None:
    images = asking(make_set(prompts=24, k=2), ["ink wash", "pop_art", "oil", None])
    fd, cosine = make_scorers([f"style(references={str(folder)!r})"], "embedded")
    for scorer in (fd, cosine):
        scorer.load()
    styled = [r for r in images if images.prompt(r).style in ("ink wash", "pop_art")]
    rows = cosine.score(images)
    assert [(row.prompt_id, row.seed) for row in rows] == [(r.prompt_id, r.seed) for r in styled]
    assert all(row.status == "ok" for row in rows)
    network = Features(world / "shapes-features", "cpu", "key")
    # As many references of either style as of the scarcer one: the prompts ask for both equally often.
    parts = [network.of_images([np.asarray(Image.open(f)) for f in sorted((folder / s).glob("*"))[:20]])
             for s in ("Ink Wash", "pop-art")]  # fmt: skip
    seen = network.of_images([images.open(r) for r in styled])
    expected = frechet_distance(Gaussian.of(seen), Gaussian.of(np.concatenate(parts)))
    whole, *left_out = fd.score(images)
    assert whole.value == pytest.approx(expected, rel=1e-6)
    assert len(left_out) == 12
    assert all(row.status == "ok" for row in left_out)


def test_few_references_are_a_bias_that_is_said(world: Path, make_set: MakeSet, folder: Path) -> None:
    images = asking(make_set(prompts=12, k=2), ["pop art"])
    for extra in sorted((folder / "pop-art").glob("*"))[7:]:
        extra.unlink()
    (fd,) = make_scorers([f"style_fd(references={str(folder)!r})"], "embedded")
    fd.load()
    assert fd.score(images)[0].note == "biased: 7 reference images, fewer than 5 d"


def test_a_folder_of_images_is_one_style_and_has_its_name(folder: Path) -> None:
    assert list(style_places("style_fd", str(folder), embedded=False)) == ["ink_wash", "pop_art"]
    one = style_places("style_fd", str(folder / "pop-art"), embedded=False)
    assert one == {"pop_art": folder / "pop-art"}


def test_what_is_wrong_with_the_references_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none are named.*references='FOLDER'"):
        style_places("style_cosine", "", embedded=False)
    with pytest.raises(MissingFileError, match="folder of the styles' images"):
        style_places("style_fd", str(tmp_path / "gone"), embedded=True)
    with pytest.raises(UnreadableFileError, match="neither images nor folders of images"):
        style_places("style_fd", str(folder / "notes"), embedded=True)


def test_no_prompt_of_a_style_is_no_failure(world: Path, make_set: MakeSet, folder: Path) -> None:
    (fd,) = make_scorers([f"style_fd(references={str(folder)!r})"], "embedded")
    fd.load()
    (row,) = fd.score(asking(make_set(prompts=3), [None]))
    assert not row.failed
    assert row.note == "undefined: no prompt asks for one of the styles ink_wash, pop_art"


def test_features_of_any_size(world: Path) -> None:
    network = load_features(world / "shapes-features")
    import torch

    assert network(torch.rand(2, 3, 37, 50)).shape == (2, network.num_features)
