"""The embedded truth with the committed oracle: renders of a prompt are right, others are not."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.core.hashing import sha256_file
from benchmark.core.records import ImageSet
from benchmark.scorers import make_scorers
from benchmark.scorers.engine import truth
from benchmark.scorers.engine.cache import Cache
from benchmark.scorers.engine.images import forget, shown, source_of
from benchmark.shapes.annotators import TASTE_VERSION, C
from benchmark.shapes.vocabulary import STYLES

MakeSet = Callable[..., ImageSet]
NAMES = ["oracle", "scene_rate", "true_reward", "true_reward_heldout"]


def means(images: ImageSet) -> dict[str, float]:
    found = {}
    for scorer in make_scorers(NAMES, "embedded"):
        scorer.load()
        found[scorer.name] = float(np.mean([row.value or 0.0 for row in scorer.score(images)]))
    return found


def test_right_images_are_worth_more_than_wrong_ones_and_noise_nothing(make_set: MakeSet) -> None:
    images = make_set(prompts=8, k=4)
    right = means(images)
    assert right["oracle"] > 0.9
    assert right["scene_rate"] > 0.85
    assert min(right["true_reward"], right["true_reward_heldout"]) > 1
    # Every prompt gets the images of the next one.
    shifted = [replace(r, path=images.records[(i + 4) % 32].path, sha256="") for i, r in enumerate(images)]
    wrong = means(replace(images, id="wrong", records=tuple(shifted)))
    assert wrong["oracle"] < right["oracle"] - 0.2
    assert wrong["true_reward"] < 0.8 * right["true_reward"]
    noise = np.random.default_rng(0)
    for record in images:
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(record.path)
    noisy = [replace(r, sha256=sha256_file(r.path)) for r in images]
    assert means(replace(images, id="noise", records=tuple(noisy)))["true_reward"] < 0.2


def test_taste_is_of_complete_scenes_alone(make_set: MakeSet) -> None:
    images = make_set(prompts=8, k=4)
    taste, reward, oracle, scene = make_scorers(
        ["true_taste", "true_reward", "oracle", "scene_rate"], "embedded"
    )
    for scorer in (taste, reward, oracle, scene):
        scorer.load()
    rows = [list(scorer.score(images)) for scorer in (taste, reward, oracle, scene)]
    known = 0
    for q, r, a, s in zip(*rows, strict=True):
        assert not q.failed
        assert (q.value is not None) <= (a.value == s.value == 1)
        if q.value is not None:
            known += 1
            assert r.value == pytest.approx(C * (1 + q.value))
    assert known > 16
    wrong = [replace(r, path=images.records[(i + 4) % 32].path, sha256="") for i, r in enumerate(images)]
    untold = taste.score(replace(images, id="wrong", records=tuple(wrong)))
    assert {row.note for row in untold if row.value is None} == {
        "undefined: not a scene with all stated facts"
    }


def test_old_and_new_likings_never_meet_in_a_table() -> None:
    names = ["true_taste", "true_taste_heldout", "true_reward", "true_reward_heldout"]
    assert {scorer.version for scorer in make_scorers(names, "embedded")} == {str(TASTE_VERSION)}


def test_a_style_is_read_where_it_was_rendered(make_set: MakeSet) -> None:
    images = make_set(prompts=24, k=4)
    (scorer,) = make_scorers(["true_style"], "embedded")
    scorer.load()
    styles = {prompt.id: prompt.style for prompt in images.prompt_set}
    rows = list(scorer.score(images))
    assert {row.prompt_id for row in rows} == {i for i, style in styles.items() if style in STYLES}
    assert np.mean([row.value for row in rows if row.value is not None]) > 0.9
    others = [replace(p, style="night, which is none") for p in images.prompt_set]
    unasked = replace(images, id="x", prompt_set=replace(images.prompt_set, prompts=tuple(others)))
    assert not list(scorer.score(unasked))


def test_copies_have_no_diversity(make_set: MakeSet) -> None:
    images = make_set(prompts=6, k=4)
    (scorer,) = make_scorers(["true_diversity"], "embedded")
    scorer.load()
    varied = [row.value for row in scorer.score(images) if row.value is not None]
    copies = tuple(replace(r, path=images.records[i // 4 * 4].path, sha256="") for i, r in enumerate(images))
    same = [
        row.value
        for row in scorer.score(replace(images, id="copies", records=copies))
        if row.value is not None
    ]
    assert np.mean(varied) > 0.6
    assert max(same) < 1e-6


def test_what_an_image_shows_is_read_once_an_evaluation(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, kept = make_set(prompts=4, k=3), Cache(tmp_path / "kept")
    source_of(images, kept)
    first = truth.truths(shown(images))
    kept.write()
    forget(images)
    monkeypatch.setattr(truth, "load_judge", lambda: pytest.fail("read again"))
    source_of(images, Cache(tmp_path / "kept"))
    again = truth.truths(shown(images))
    for a, b in zip(again, first, strict=True):
        assert torch.equal(a.reading.rows(), b.reading.rows())
        assert a.facts == b.facts
        one, other = ([float(getattr(t, f.name)) for f in fields(t)[2:]] for t in (a, b))
        assert np.array_equal(one, other, equal_nan=True)
