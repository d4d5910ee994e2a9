"""No bad input becomes a score, and none takes the rest along: for every scorer there is."""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmark.core import resources
from benchmark.core.errors import UserError
from benchmark.core.pixels import MAX_RATIO
from benchmark.core.records import Axis, ImageSet, ScoreRow
from benchmark.networks.open_clip import Preprocess, clip_pixels, hps_pixels
from benchmark.scorers import Scorer, make_scorers, scorers
from benchmark.scorers.base import PromptScorer, SetScorer, Shown, Value
from benchmark.shapes.truth import load_judge

MakeSet = Callable[..., ImageSet]
Rows = dict[tuple[str | None, int | None], ScoreRow]

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

NAMES = scorers.names()
UNITS = {name: getattr(scorers.get(name), "unit", "") for name in NAMES}
PROMPTS = 22


def loaded(name: str) -> Scorer:
    (scorer,) = make_scorers([name], "embedded")
    scorer.load()
    return scorer


@dataclass(frozen=True)
class Case:
    """A scorer, whole images, and what it says of them."""

    scorer: Scorer
    clean: ImageSet
    before: Rows

    def after(self, kinds: Sequence[str], bad_files: Any, name: str) -> Rows:
        """What it says when the first image of each prompt is replaced, as far as there are kinds."""
        return by_place(self.scorer.score(with_files(self.clean, kinds, bad_files, name)))


@pytest.fixture(scope="module", params=NAMES)
def case(
    request: pytest.FixtureRequest,
    world_folder: Path,
    random_world: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Case:
    clean = random_world.render_set(tmp_path_factory.mktemp(request.param), prompts=PROMPTS, k=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "_PACKAGE", world_folder)
        load_judge.cache_clear()
        scorer = loaded(request.param)
        before = by_place(scorer.score(clean))
        load_judge.cache_clear()
    return Case(scorer, clean, before)


def by_place(rows: Sequence[ScoreRow]) -> Rows:
    return {(row.prompt_id, row.seed): row for row in rows}


def with_files(images: ImageSet, names: Sequence[str], bad_files: Any, name: str) -> ImageSet:
    """The set with the first image of each prompt replaced, as far as there are names."""
    records = list(images.records)
    k = len(images.seeds)
    for i, kind in enumerate(names):
        old = records[i * k]
        path = old.path.with_name(f"{name}-{i}.png")
        bad_files.write(path, kind)
        records[i * k] = replace(old, path=path, sha256="")
    return replace(images, id=name, records=tuple(records))


def check_row(row: ScoreRow) -> None:
    """Either a finite number, or none and the reason in one line."""
    if row.status == "ok":
        assert row.value is not None
        assert math.isfinite(row.value)
    else:
        assert row.value is None
        assert row.note
        assert "\n" not in row.note


def test_bad_files_have_no_number_and_the_others_keep_theirs(case: Case, world: Path, bad_files: Any) -> None:
    refused = [*bad_files.REFUSED, "missing", "directory"]
    before, after = case.before, case.after(refused, bad_files, "refused")
    bad = {(p.id, 0): kind for p, kind in zip(case.clean.prompt_set, refused, strict=False)}
    prompts = {prompt for prompt, _ in bad}
    for row in after.values():
        check_row(row)
    if case.scorer.unit == "set":
        # Less images, another number or none; with none the row says what is wrong.
        row = after[None, None]
        assert row.note.startswith("no image for ") if row.status == "ok" else "n < 5d" in row.note
        return
    assert after.keys() == before.keys()
    for place, row in after.items():
        if place in bad:
            status = "missing" if bad[place] in ("missing", "directory") else "error"
            assert (row.status, row.failed) == (status, True), bad[place]
        elif case.scorer.unit == "image" or place[0] not in prompts:
            old = before[place]
            assert (row.status, row.note) == (old.status, old.note)
            assert row.value is old.value or row.value == pytest.approx(old.value, abs=1e-4)
        else:
            assert row.status != "ok", "one image of a prompt has no diversity"
            assert row.failed


def test_odd_but_whole_files_are_images_like_any(case: Case, world: Path, bad_files: Any) -> None:
    after = case.after(list(bad_files.READ), bad_files, "odd")
    assert after.keys() == case.before.keys()
    assert not any(row.failed for row in after.values())


def test_one_pixel_takes_nobody_along(case: Case, world: Path, bad_files: Any) -> None:
    before, after = case.before, case.after(["1 x 1"], bad_files, "pixel")
    first = case.clean.records[0].prompt_id
    for place, row in after.items():
        check_row(row)
        if case.scorer.unit != "set" and place not in ((first, 0), (first, None)):
            assert row.value is before[place].value or row.value == pytest.approx(
                before[place].value, abs=1e-4
            )


@pytest.mark.parametrize("preprocess", [clip_pixels, hps_pixels])
@pytest.mark.parametrize("side", [64, 224])
def test_the_longest_images_that_are_read_become_squares(preprocess: Preprocess, side: int) -> None:
    for height, width in ((1, MAX_RATIO), (MAX_RATIO, 1), (3 * MAX_RATIO, 3), (1, 1)):
        pixels = preprocess(np.full((height, width, 3), 200, np.uint8), side)
        assert pixels.shape == (3, side, side)
        assert float(pixels.max()) == pytest.approx(200 / 255, abs=0.01)


@pytest.mark.parametrize("name", [name for name in NAMES if UNITS[name] == "image"])
def test_long_texts_and_emoji_are_texts(name: str, world: Path, make_set: MakeSet) -> None:
    clean = make_set(prompts=6, k=1)
    odd = ["a red star " * 1000, "\U0001f9d1‍\U0001f680\U0001f7e5" * 40, "\U0001f600", "星 ☆ нет"]
    prompts = [replace(p, text=odd[i] if i < len(odd) else p.text) for i, p in enumerate(clean.prompt_set)]
    images = replace(clean, id="odd", prompt_set=replace(clean.prompt_set, prompts=tuple(prompts)))
    scorer = loaded(name)
    before, after = by_place(scorer.score(clean)), by_place(scorer.score(images))
    assert after.keys() == before.keys()
    reads_any = scorer.reference != "embedded"
    for (prompt, k), row in after.items():
        check_row(row)
        if int(str(prompt)[1:]) >= len(odd):
            assert row.value == pytest.approx(before[prompt, k].value, abs=1e-4)
        elif reads_any:
            assert row.status == "ok", row.note


@pytest.mark.parametrize("name", [name for name in NAMES if UNITS[name] == "prompt"])
def test_one_image_a_prompt_has_no_diversity(name: str, world: Path, make_set: MakeSet) -> None:
    for row in loaded(name).score(make_set(prompts=2, k=1)):
        assert (row.status, row.failed, row.value) == ("missing", False, None)


@pytest.mark.parametrize("name", [name for name in NAMES if UNITS[name] == "set"])
def test_a_set_that_is_too_small_has_no_number(name: str, world: Path, make_set: MakeSet) -> None:
    scorer = loaded(name)
    for images in (make_set(prompts=1, k=1), make_set(prompts=6, k=1)):
        for row in scorer.score(images):
            check_row(row)
            assert not row.failed
    if name in ("fid", "style_fd"):
        (row,) = scorer.score(make_set(prompts=19, k=1))
        assert row.status == "missing"
        assert "n < 5d" in row.note or "no prompt asks" in row.note


@pytest.fixture
def poisoned(world_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The random world with one NaN in each file of weights."""
    package = shutil.copytree(world_folder, tmp_path / "poisoned")
    weights = package / "shapes" / "weights"
    for file in [*weights.rglob("*.safetensors"), *weights.rglob("*.pth")]:
        plain = file.suffix == ".safetensors"
        state = load_file(file) if plain else torch.load(file, weights_only=True)
        last = max(key for key, value in state.items() if value.is_floating_point())
        state[last].view(-1)[0] = torch.nan
        save_file(state, file, {"format": "pt"}) if plain else torch.save(state, file)
    monkeypatch.setattr(resources, "_PACKAGE", package)
    load_judge.cache_clear()


@pytest.mark.parametrize("name", NAMES)
def test_nan_in_the_weights_is_refused_and_named(name: str, poisoned: None) -> None:
    (scorer,) = make_scorers([name], "embedded")
    if not scorer.weights_hash:
        assert not hasattr(scorer, "weights"), "weights without a hash"
        return
    with pytest.raises(UserError, match=r"cannot read .* as weights \(.* holds NaN or infinity\)"):
        scorer.load()


class _Midway(PromptScorer):
    """Fails on the second prompt."""

    name: ClassVar[str] = "midway"
    axis: ClassVar[Axis] = "diversity"
    weights_hash = ""

    def load(self, device: str = "cpu") -> None: ...

    def value(self, shown: Shown) -> Value:
        if shown.prompts[0].id == "p001":
            raise ZeroDivisionError
        return 1.0


class _Never(SetScorer):
    """Fails on everything."""

    name: ClassVar[str] = "never"
    axis: ClassVar[Axis] = "fidelity"
    weights_hash = ""

    def load(self, device: str = "cpu") -> None: ...

    def value(self, shown: Shown) -> Value:
        raise RuntimeError(f"{len(shown)} are\ntoo many")


def test_a_scorer_that_raises_midway_keeps_its_other_rows(make_set: MakeSet) -> None:
    images = make_set(prompts=3)
    rows = _Midway().score(images)
    assert [row.status for row in rows] == ["ok", "error", "ok"]
    assert rows[1].note == "ZeroDivisionError"
    (row,) = _Never().score(images)
    assert (row.status, row.note) == ("error", "RuntimeError: 6 are too many")
