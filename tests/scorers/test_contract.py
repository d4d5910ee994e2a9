"""What every scorer owes, and what a scorer that fails must not do to the others."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_args

import pytest
from PIL import Image

from benchmark.core.errors import MissingWeightsError, UnknownNameError, UserError
from benchmark.core.records import Axis, ImageSet, Unit
from benchmark.scorers import Scorer, make_scorers, scorers, split_scorers
from benchmark.scorers.base import ImageScorer, Missing, PromptScorer, Shown, Value
from benchmark.shapes.vocabulary import STYLES
from benchmark.stats.jackknife import leave_out_id

MakeSet = Callable[..., ImageSet]

NAMES = scorers.names()


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_stated(name: str) -> None:
    kind = scorers.get(name)
    assert isinstance(kind, type)
    assert issubclass(kind, Scorer)
    assert kind.name == name
    assert kind.axis in get_args(Axis)
    assert kind.unit in get_args(Unit)
    assert kind.scale
    assert kind.reference
    lo, hi = kind.bounds
    assert lo is None or hi is None or lo < hi
    assert "|" not in kind.version + name


@pytest.mark.parametrize("name", NAMES)
def test_every_scorer_scores_what_it_should(name: str, world: Path, make_set: MakeSet) -> None:
    images: ImageSet = make_set(prompts=14, k=2)
    (scorer,) = make_scorers([name], "embedded")
    scorer.load()
    rows = scorer.score(images)
    assert {(r.checkpoint, r.scorer, r.scorer_version) for r in rows} == {
        ("base", name, scorer.scorer_version)
    }
    assert (scorer.scorer_version != scorer.version) == bool(scorer.weights_hash)
    # Every style of the world can be read; references are there of three.
    known = tuple(STYLES) if name == "true_style" else ("van_gogh", "sketch", "winter")
    styled = {p.id for p in images.prompt_set if p.style in known}
    asked = [r for r in images if "style" not in name or r.prompt_id in styled]
    if scorer.unit == "image":
        assert [(r.prompt_id, r.seed) for r in rows] == [(r.prompt_id, r.seed) for r in asked]
    elif scorer.unit == "prompt":
        assert [(r.prompt_id, r.seed) for r in rows] == [(p.id, None) for p in images.prompt_set]
    else:
        whole, *groups = [r.prompt_id for r in rows]
        assert whole is None
        n_groups = len({r.prompt_id for r in asked}) if rows[0].status == "ok" else 0
        assert groups == [leave_out_id(g) for g in range(n_groups)]
    lo, hi = scorer.column().bounds
    for row in rows:
        assert not row.failed, row.note
        if row.value is not None:
            assert lo is None or row.value >= lo - 1e-3
            assert hi is None or row.value <= hi + 1e-3
    # What random weights read has no diversity and no taste, and not every prompt leaves something open.
    seldom = ("true_diversity", "true_taste", "true_taste_heldout", "style_fd", "attribute_diversity")
    if name not in seldom:
        assert all(row.status == "ok" for row in rows)


def test_images_are_decoded_once_for_all_scorers(world: Path, make_set: MakeSet) -> None:
    images: ImageSet = make_set()
    first, *others = make_scorers(
        ["oracle", "clip", "hps", "pickscore", "lpips", "true_reward", "true_diversity"], "embedded"
    )
    for scorer in (first, *others):
        scorer.load()
    first.score(images)
    for record in images:
        record.path.unlink()
    assert not any(row.failed for scorer in others for row in scorer.score(images))


def test_the_truth_is_read_once_for_all_who_state_it(world: Path, make_set: MakeSet) -> None:
    from benchmark.scorers.engine.images import shown
    from benchmark.scorers.engine.truth import truths

    images: ImageSet = make_set()
    for scorer in make_scorers(
        ["oracle", "scene_rate", "true_taste", "true_taste_heldout", "true_reward", "true_diversity"],
        "embedded",
    ):
        scorer.load()
        scorer.score(images)
    source = shown(images).source
    before = [source.cache.find("truth", row) for row in range(len(images))]
    again = truths(shown(images))
    assert all(a is b is not None for a, b in zip(again, before, strict=True))


def test_a_missing_image_is_a_missing_row_and_a_changed_one_an_error(world: Path, make_set: MakeSet) -> None:
    images: ImageSet = make_set(prompts=3, k=2)
    gone, changed, failed, *_ = images.records
    gone.path.unlink()
    Image.new("RGB", (64, 64)).save(changed.path)
    bad = replace(failed, status="error", note="the model's latents are not finite", sha256="")
    images = replace(images, records=(gone, changed, bad, *images.records[3:]))
    clip, lpips = make_scorers(["clip", "lpips"], "embedded")
    clip.load()
    lpips.load()
    rows = clip.score(images)
    assert [row.status for row in rows] == ["missing", "error", "missing", "ok", "ok", "ok"]
    assert "not finite" in rows[2].note
    assert all(row.failed for row in rows[:3])
    by_prompt = lpips.score(images)
    assert [row.status for row in by_prompt] == ["missing", "missing", "ok"]
    assert by_prompt[0].failed


class _Picky(ImageScorer):
    """Fails on dark images, returns NaN on the second one."""

    name: ClassVar[str] = "picky"
    axis: ClassVar[Axis] = "texture"
    weights_hash = ""

    def load(self, device: str = "cpu") -> None: ...

    def values(self, shown: Shown) -> Sequence[Value]:
        if any(image.mean() < 1 for image in shown.images):
            raise RuntimeError("too\ndark")
        return [float("nan") if r.seed == 1 else 1.0 for r in shown.records]


class _Empty(PromptScorer):
    name: ClassVar[str] = "empty"
    axis: ClassVar[Axis] = "diversity"
    weights_hash = ""

    def load(self, device: str = "cpu") -> None: ...

    def value(self, shown: Shown) -> Value:
        return Missing("there is nothing to say")


def test_a_failing_scorer_fails_only_where_it_fails(make_set: MakeSet) -> None:
    images: ImageSet = make_set(prompts=2, k=2)
    dark = images.records[2]
    Image.new("RGB", (64, 64)).save(dark.path)
    images = replace(images, records=(*images.records[:2], replace(dark, sha256=""), images.records[3]))
    rows = _Picky().score(images)
    assert [row.status for row in rows] == ["ok", "error", "error", "error"]
    assert rows[2].note == "RuntimeError: too dark"
    assert "nan" in rows[1].note


def test_what_complete_images_do_not_have_is_no_failure(make_set: MakeSet) -> None:
    rows = _Empty().score(make_set(prompts=2))
    assert [row.status for row in rows] == ["missing", "missing"]
    assert not any(row.failed for row in rows)


def test_what_is_typed_wrongly_is_one_line(
    world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="did you mean pickscore"):
        make_scorers(["picksore"], "embedded")
    with pytest.raises(UserError, match="weight"):
        make_scorers(["clip(weigths='x')"], "embedded")
    with pytest.raises(UserError, match="named twice"):
        make_scorers(["clip", "clip(model='ViT-L-14')"], "embedded")
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path))
    (hps,) = make_scorers(["hps"], "published")
    with pytest.raises(MissingWeightsError, match=r"no HPS_v2\.1_compressed\.pt at .*hps, .*fetch hps-v2\.1"):
        _ = hps.weights_hash


def test_lists_of_scorers_may_have_options() -> None:
    assert list(split_scorers("clip, hps(weights='a,b'),fid")) == ["clip", "hps(weights='a,b')", "fid"]


def test_the_version_follows_the_weights(world: Path, tmp_path: Path) -> None:
    import shutil

    one = make_scorers(["clip"], "embedded")[0].scorer_version
    folder = shutil.copytree(world / "shapes-clip", tmp_path / "copy")
    assert make_scorers([f"clip(weights={str(folder)!r})"], "embedded")[0].scorer_version == one
    config = folder / "open_clip_config.json"
    config.write_text(config.read_text() + " ")
    assert make_scorers([f"clip(weights={str(folder)!r})"], "embedded")[0].scorer_version != one
