"""`fbench.score`: the numbers of `fbench score`, whatever form the pictures come in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.evaluate.config import ScoreConfig
from benchmark.evaluate.score_folder import score_folder
from benchmark.evaluate.score_images import score
from benchmark.leaderboard import read_score_table

TEXTS = ["a red star", "a blue ring", "a red star", "a ring"]
NO_PICTURES: list[Any] = [3]


@pytest.fixture
def arrays() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in TEXTS]


def test_the_form_of_a_picture_changes_no_number(arrays: list[Any], tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    forms = (arrays, [Image.fromarray(a) for a in arrays], paths, [str(path) for path in paths])
    first, *others = [score(form, TEXTS, ["entropy"]).values("entropy") for form in forms]
    assert len(set(first)) == len(TEXTS)
    assert all(other == first for other in others)
    for alone in (paths[0], str(paths[0]), Image.open(paths[0])):
        assert score(alone, TEXTS[0], ["entropy"]).values("entropy") == first[:1]


def test_it_is_what_the_command_gives(world: Path, arrays: list[Any], tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for i, (array, text) in enumerate(zip(arrays, TEXTS, strict=True)):
        Image.fromarray(array).save(images / f"{i}.png")
        (images / f"{i}.txt").write_text(text)
    scorers = ("entropy", "clip", "clip_diversity", "vendi_set")
    score_folder(ScoreConfig(path=(images,), scorers=scorers, weights="embedded", out=tmp_path / "out"))
    rows = read_score_table(tmp_path / "out").rows
    found = score(arrays, TEXTS, scorers, weights="embedded")
    for name in scorers:
        listed = rows[(rows["scorer"] == name) & ~rows["prompt_id"].str.startswith("jackknife", na=False)]
        assert found.mean(name) == pytest.approx(listed["value"].mean(), rel=1e-9)
    assert found.to_pandas()["scorer"].unique().tolist() == [
        "entropy", "clip (embedded)", "clip_diversity (embedded)", "vendi_set (embedded)",
    ]  # fmt: skip


def test_rows_belong_to_the_pictures_in_the_order_given(arrays: list[Any]) -> None:
    table = score(arrays, TEXTS, "entropy").to_pandas()
    assert table["image"].tolist() == [0, 1, 2, 3]
    assert table["prompt"].tolist() == TEXTS
    assert table["value"].tolist() == score(arrays, TEXTS, "entropy").values("entropy")
    assert score(arrays, "a star", "entropy").values("entropy") == table["value"].tolist()


def test_a_picture_that_is_not_there_is_a_row(arrays: list[Any], tmp_path: Path) -> None:
    found = score([arrays[0], tmp_path / "gone.png"], "a star", ["entropy"])
    table = found.to_pandas()
    assert table["status"].tolist() == ["ok", "missing"]
    assert "gone.png" in table["note"][1]
    assert pd.isna(table["value"][1])
    assert found.values("entropy")[1] is None
    assert found.mean("entropy") == found.values("entropy")[0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a: score(a, ["a"], ["entropy"]), "4 images and 1 prompt; allowed: one prompt an image"),
        (lambda a: score([], [], ["entropy"]), "0 images and 0 prompts"),
        (lambda a: score([a[0] / 255], "a", ["entropy"]), "image 0 is an array of float64 in (64, 64, 3)"),
        (lambda _: score(NO_PICTURES, "a", ["entropy"]), "image 0 is of type int"),
        (lambda _: score(["a star"], ["0.png"], ["entropy"]), "no picture at a star; pictures come first"),
        (lambda _: score(["a star, " * 999], ["0.png"], ["entropy"]), "pictures come first, then prompts"),
        (lambda a: score(a, " ", ["entropy"]), "has no text"),
        (lambda a: score(a, "a", ["entrpy"]), "did you mean entropy"),
        (lambda a: score(a, "a", ["entropy"]).values("clip"), "allowed: entropy"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    arrays: list[Any], call: Callable[[list[Any]], object], said: str
) -> None:
    with pytest.raises(UserError) as error:
        call(arrays)
    assert said in str(error.value)


def test_networks_stay_loaded_from_call_to_call(
    world: Path, arrays: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.scorers.clip import Clip

    loads, load = list[str](), Clip.load

    def counted(self: Clip, device: str = "cpu") -> None:
        loads.append(device)
        load(self, device)

    monkeypatch.setattr(Clip, "load", counted)
    first = score(arrays, TEXTS, ["clip"], weights="embedded").values("clip")
    assert score(arrays[::-1], TEXTS[::-1], ["clip"], weights="embedded").values("clip") == first[::-1]
    assert len(loads) == 1
