"""Scoring in parts: every image decoded once, every feature computed once, nothing computed twice."""

import gc
import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import Axis, ImageRecord, ImageSet, PromptSet, ScoreRow
from benchmark.evaluate import scoring
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.networks import open_clip
from benchmark.networks.open_clip import OpenClip
from benchmark.scorers import Scorer, make_scorers, scorers
from benchmark.scorers.base import ImageScorer, SetScorer, Shown, Value
from benchmark.scorers.engine import images as engine_images
from benchmark.scorers.engine.images import forget, parts, shown
from tools.build_shapes import small_networks

MakeSet = Callable[..., ImageSet]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_images, "PART_IMAGES", 4)
    # A part is filled by as many images at a time as there are cores.
    monkeypatch.setattr(engine_images, "allowed_cores", lambda: 2)
    # The golden images would be counted among those that are embedded here.
    monkeypatch.setattr(scoring, "ensure", lambda scorer: None)


def scored(images: ImageSet, names: Sequence[str | Scorer], out: Path) -> list[ScoreRow]:
    made = [make_scorers([n], "embedded")[0] if isinstance(n, str) else n for n in names]
    return score_all(images, made, Loaded("cpu"), ScoreCache(out), lambda done, of: None)


@pytest.mark.parametrize("name", scorers.names())
def test_parts_give_what_the_whole_set_gives(
    name: str, world: Path, make_set: MakeSet, tmp_path: Path
) -> None:
    images = make_set(prompts=11, k=2)
    (scorer,) = make_scorers([name], "embedded")
    scorer.load()
    whole = scorer.score(images)
    forget(images)
    in_parts = scored(images, [name], tmp_path / "out")
    assert [(r.prompt_id, r.seed, r.status) for r in in_parts] == [
        (r.prompt_id, r.seed, r.status) for r in whole
    ]
    for a, b in zip(in_parts, whole, strict=True):
        assert (a.value is None) == (b.value is None)
        assert b.value is None or a.value == pytest.approx(b.value, abs=1e-5, rel=1e-5)


def test_a_part_has_whole_prompts_and_its_pixels_are_freed_behind_it(make_set: MakeSet) -> None:
    images = make_set(prompts=5, k=3)
    seen: list[str] = []
    for part in parts(images):
        assert len(part) in (3, 6)
        assert [r.prompt_id for r in part.records] == [p.id for p in part.asked for _ in range(3)]
        assert all(part.source._pixels.get(row) is not None for row in part.rows)
        seen += [p.id for p in part.asked]
    assert seen == [p.id for p in images.prompt_set]
    assert not part.source._pixels


def test_every_image_is_decoded_once_for_all_scorers(
    world: Path, make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_set(prompts=7, k=2)
    opened: list[Path] = []
    read = ImageSet.open

    def counted(self: ImageSet, record: ImageRecord) -> Any:
        opened.append(record.path)
        return read(self, record)

    monkeypatch.setattr(ImageSet, "open", counted)
    rows = scored(
        images, ["clip", "hps", "lpips", "pickscore", "imagereward", "fid", "oracle"], tmp_path / "out"
    )
    assert not any(row.failed for row in rows)
    assert sorted(opened) == sorted(record.path for record in images)


def embedded_by_clip(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fills with the number of images of every call of the image tower."""
    counts: list[int] = []
    embed = OpenClip.embed_images

    def counted(self: OpenClip, images: Sequence[Any]) -> list[torch.Tensor]:
        counts.append(len(images))
        return embed(self, images)

    monkeypatch.setattr(OpenClip, "embed_images", counted)
    return counts


def test_another_scorer_and_more_prompts_embed_only_what_is_new(
    world: Path, make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_set(prompts=6, k=2)
    first = [p.id for p in images.prompt_set][:4]
    few = replace(
        images,
        id="few",
        prompt_set=PromptSet("few", "1", images.prompt_set.prompts[:4]),
        records=tuple(r for r in images if r.prompt_id in first),
    )
    counts = embedded_by_clip(monkeypatch)
    scored(few, ["clip"], tmp_path / "out")
    assert sum(counts) == 8
    counts.clear()
    # A new process, as far as anything knows: only the folder is the same.
    rows = scored(images, ["clip"], tmp_path / "out")
    assert sum(counts) == 4
    assert [r.status for r in rows] == ["ok"] * 12
    counts.clear()
    monkeypatch.setattr(OpenClip, "embed_texts", lambda *_: pytest.fail("the texts were there"))
    other = make_scorers(["clip(weights='embedded', model='any')"], "embedded")[0]
    again = scored(images, [other], tmp_path / "out")
    assert not counts
    assert [r.value for r in again] == [r.value for r in rows]


class _Counting(ImageScorer):
    """Stops at the image it was told, as a killed process would."""

    name: ClassVar[str] = "counting"
    axis: ClassVar[Axis] = "texture"
    weights_hash = ""

    def __init__(self, stop: int | None = None) -> None:
        self.seen: list[str] = []
        self.stop = stop

    def load(self, device: str = "cpu") -> None: ...

    def values(self, shown: Shown) -> Sequence[Value]:
        self.seen += [f"{r.prompt_id}/{r.seed}" for r in shown.records]
        if self.stop is not None and len(self.seen) > self.stop:
            raise KeyboardInterrupt
        return [float(image.mean()) for image in shown.images]


def test_a_killed_run_goes_on_where_it_was(make_set: MakeSet, tmp_path: Path) -> None:
    images = make_set(prompts=6, k=2)
    broken = _Counting(stop=6)
    with pytest.raises(KeyboardInterrupt):
        scored(images, [broken], tmp_path / "out")
    again = _Counting()
    rows = scored(images, [again], tmp_path / "out")
    assert again.seen == [f"{r.prompt_id}/{r.seed}" for r in images][4:]
    assert [row.status for row in rows] == ["ok"] * 12
    fresh = _Counting()
    assert [r.value for r in scored(images, [fresh], tmp_path / "new")] == [r.value for r in rows]


def test_what_failed_is_tried_again(make_set: MakeSet, tmp_path: Path) -> None:
    class Unsure(_Counting):
        def values(self, shown: Shown) -> Sequence[Value]:
            good = super().values(shown)
            return [float("nan") if r.seed else v for r, v in zip(shown.records, good, strict=True)]

    images = make_set(prompts=2, k=2)
    for tries in (4, 2):
        scorer = Unsure()
        rows = scored(images, [scorer], tmp_path / "out")
        assert [row.status for row in rows] == ["ok", "error"] * 2
        assert len(scorer.seen) == tries


def test_a_changed_image_and_a_changed_prompt_are_other_content(make_set: MakeSet, tmp_path: Path) -> None:
    images = make_set(prompts=2, k=1)
    scored(images, [_Counting()], tmp_path / "out")
    other = make_set(prompts=2, k=1, name="other", seed=1)
    asked = replace(images.prompt_set.prompts[0], tags=("count",))
    retold = replace(
        images, id="b", prompt_set=replace(images.prompt_set, prompts=(asked, images.prompt_set.prompts[1]))
    )
    for changed, new in ((other, 2), (retold, 1)):
        scorer = _Counting()
        scored(changed, [scorer], tmp_path / "out")
        assert len(scorer.seen) == new


SCORER = """
from benchmark.scorers.base import ImageScorer
class Mine(ImageScorer):
    name, axis, weights_hash = "mine", "texture", ""
    def load(self, device="cpu"): ...
    def values(self, shown): return [{value} for _ in shown.images]
"""


def test_an_edited_scorer_file_is_another_scorer(make_set: MakeSet, tmp_path: Path) -> None:
    images, file = make_set(prompts=1, k=1), tmp_path / "mine.py"
    for value in (1.0, 2.0):
        file.write_text(SCORER.format(value=value))
        assert [row.value for row in scored(images, [f"{file}:Mine"], tmp_path / "out")] == [value]


class _Fragile(SetScorer):
    name: ClassVar[str] = "fragile"
    axis: ClassVar[Axis] = "fidelity"
    weights_hash = ""

    def load(self, device: str = "cpu") -> None: ...

    def look(self, shown: Shown) -> None:
        raise RuntimeError("no look")

    def value(self, shown: Shown) -> Value:
        raise RuntimeError("no value")


def test_a_scorer_that_fails_midway_takes_nobody_along(make_set: MakeSet, tmp_path: Path) -> None:
    class Midway(_Counting):
        name: ClassVar[str] = "midway"

        def values(self, shown: Shown) -> Sequence[Value]:
            if any(r.prompt_id == "p003" for r in shown.records):
                raise RuntimeError("midway")
            return super().values(shown)

    images = make_set(prompts=5, k=2)
    rows = scored(images, [Midway(), _Fragile(), _Counting()], tmp_path / "out")
    by_name = {n: [r for r in rows if r.scorer == n] for n in ("midway", "fragile", "counting")}
    assert [r.status for r in by_name["midway"]] == ["ok"] * 6 + ["error"] * 2 + ["ok"] * 2
    assert [r.note for r in by_name["fragile"]] == ["RuntimeError: no value"]
    assert [r.status for r in by_name["counting"]] == ["ok"] * 10


def test_scorers_of_one_tower_share_it_while_they_live(world: Path, tmp_path: Path) -> None:
    # A copy, because a scorer of another test may still be at work with the embedded one.
    folder = str(shutil.copytree(world / "shapes-clip", tmp_path / "clip"))

    def loaded(name: str, **settings: str) -> Any:
        given = "".join(f", {key}={value!r}" for key, value in settings.items())
        (scorer,) = make_scorers([f"{name}(weights={folder!r}{given})"], "embedded")
        scorer.load()
        return scorer

    clip, again, half = loaded("clip"), loaded("style_cosine"), loaded("clip", precision="bf16")
    assert clip._clip is again._clip
    assert clip._clip is not half._clip
    tower = weakref.ref(clip._clip)
    del clip, again
    gc.collect()
    assert tower() is None


def test_a_model_without_its_vocabulary_is_refused_and_never_fed_another_one(
    world: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(world / "shapes-clip", tmp_path / "clip")
    (folder / "bpe.txt.gz").unlink(missing_ok=True)
    (scorer,) = make_scorers([f"clip(weights={str(folder)!r})"], "embedded")
    scorer.load()  # the embedded vocabulary is the one it was made for
    config = small_networks.small_config(
        300,
        embed_dim=16,
        vision={"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64},
        text={"context_length": 32, "width": 32, "heads": 2, "layers": 1},
    )
    small_networks.save_open_clip(open_clip.new_open_clip(config), config, tmp_path / "other")
    (scorer,) = make_scorers([f"clip(weights={str(tmp_path / 'other')!r})"], "embedded")
    with pytest.raises(UnreadableFileError, match=r"knows 300 tokens.*add its merges as bpe\.txt\.gz"):
        scorer.load()


def test_a_choice_of_images_brings_their_prompts_along(make_set: MakeSet) -> None:
    few = shown(make_set(prompts=3, k=2)).at([1, 2])
    assert [(r.prompt_id, r.seed) for r in few.records] == [("p000", 1), ("p001", 0)]
    assert [p.id for p in few.asked] == ["p000", "p001"]
    assert len(_Counting().rows(few)) == 2


def test_shown_again_is_the_same(make_set: MakeSet) -> None:
    images = make_set(prompts=2, k=2)
    assert shown(images) == shown(images)
