"""Laws of the diversity scorers: what is alike, what is at right angles, and what must not matter."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import pdist
from scipy.stats import entropy as scipy_entropy

from benchmark.core.records import ImageSet, OpenAttribute, PromptSet
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.diversity import mean_pair_distance, vendi
from benchmark.scorers.engine.images import forget, shown
from benchmark.shapes.diversity import share_that_differ

MakeSet = Callable[..., ImageSet]
PER_PROMPT = ("clip_diversity", "vendi", "attribute_diversity")
LEAST = {"clip_diversity": 0.0, "vendi": 1.0, "attribute_diversity": 0.0, "vendi_set": 1.0}


def some_embeddings(n: int = 7, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def values(name: str, images: ImageSet) -> list[float | None]:
    (scorer,) = make_scorers([name], "embedded")
    scorer.load()
    rows = scorer.score(images)
    assert not any(row.failed for row in rows), [row.note for row in rows]
    return [row.value for row in rows]


def one_image_each(images: ImageSet) -> ImageSet:
    """Every image of a prompt replaced by its first one."""
    first = {r.prompt_id: r for r in reversed(images.records)}
    records = [
        replace(r, path=first[r.prompt_id].path, sha256=first[r.prompt_id].sha256) for r in images.records
    ]
    return replace(images, records=tuple(records))


def test_alike_is_least_and_right_angles_are_most() -> None:
    same = np.tile(some_embeddings(1), (6, 1))
    assert mean_pair_distance(same) == pytest.approx(0, abs=1e-12)
    assert vendi(same) == pytest.approx(1)
    for n, d in ((4, 4), (3, 9)):
        apart = 3.0 * np.eye(n, d)
        assert mean_pair_distance(apart) == pytest.approx(1)
        assert vendi(apart) == pytest.approx(n)


def test_both_follow_their_definitions_by_scipy() -> None:
    for n, d in ((7, 5), (4, 12), (2, 3)):
        e = some_embeddings(n, d, seed=n)
        assert mean_pair_distance(e) == pytest.approx(pdist(e, "cosine").mean())
        unit = e / np.linalg.norm(e, axis=1, keepdims=True)
        eigenvalues = np.linalg.eigvals(unit @ unit.T / n).real.clip(0)
        assert vendi(e) == pytest.approx(np.exp(scipy_entropy(eigenvalues)))


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 9), st.integers(1, 12)),
        elements=st.floats(-2, 2, width=32).filter(lambda x: abs(x) > 0.01),
    )
)
def test_bounds_order_and_length_do_not_matter(e: np.ndarray) -> None:
    n = len(e)
    assert 0 <= mean_pair_distance(e) <= n / (n - 1) + 1e-9
    assert 1 <= vendi(e) <= n + 1e-6
    turned = np.random.default_rng(0).permutation(e) * 4
    assert mean_pair_distance(turned) == pytest.approx(mean_pair_distance(e), abs=1e-9)
    assert vendi(turned) == pytest.approx(vendi(e), rel=1e-6)


def test_everything_twice_has_as_many_different_images() -> None:
    e = some_embeddings()
    assert vendi(np.concatenate([e, e])) == pytest.approx(vendi(e))
    # Of the pairs of 2n images n more are of an image with itself, at distance 0.
    n = len(e)
    expected = mean_pair_distance(e) * (n - 1) / (n - 0.5)
    assert mean_pair_distance(np.concatenate([e, e])) == pytest.approx(expected)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_share_of_pairs_is_unbiased_at_any_number_of_images(k: int) -> None:
    p = (0.5, 0.3, 0.2)
    expected = sum(
        float(np.prod([p[v] for v in seen])) * share_that_differ(list(seen))
        for seen in itertools.product(range(3), repeat=k)
    )
    assert expected == pytest.approx(1 - sum(x * x for x in p))


@pytest.mark.parametrize("name", sorted(LEAST))
def test_one_image_repeated_is_least(name: str, world: Path, make_set: MakeSet) -> None:
    images = one_image_each(make_set(prompts=4 if name != "vendi_set" else 1, k=3))
    found = [value for value in values(name, images) if value is not None]
    assert found
    assert found == pytest.approx([LEAST[name]] * len(found), abs=1e-5)


@pytest.mark.parametrize("name", sorted(LEAST))
def test_one_image_has_no_diversity_and_that_is_no_failure(name: str, world: Path, make_set: MakeSet) -> None:
    assert values(name, make_set(prompts=1, k=1)) == [None]


@pytest.mark.parametrize("name", PER_PROMPT)
def test_the_order_of_images_does_not_matter(name: str, world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=3, k=3)
    turned = replace(images, records=tuple(reversed(images.records)))
    assert values(name, turned) == pytest.approx(values(name, images), abs=1e-6)


def test_the_set_is_mostly_what_prompts_ask_for(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=12, k=3)
    (whole, *_) = values("vendi_set", images)
    (repeated, *_) = values("vendi_set", one_image_each(images))
    assert whole is not None
    assert repeated is not None
    per_prompt = values("vendi", one_image_each(images))
    assert per_prompt == pytest.approx([1.0] * 12, abs=1e-5)
    assert repeated > 1 + 0.5 * (whole - 1)


def test_all_share_the_features_of_clip(world: Path, make_set: MakeSet) -> None:
    images = make_set()
    names = ["clip", *LEAST]
    for scorer in make_scorers(names, "embedded"):
        scorer.load()
        scorer.score(images)
    keys = [key for key in shown(images).source.cache._known if not key.startswith(("values:", "texts:"))]
    assert len(keys) == 1
    assert keys[0].startswith("clip:")


def test_an_image_shows_the_value_whose_text_is_nearest(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=3, k=4)
    attribute = OpenAttribute("colour", ("red", "green"), (("a red star", "a red heart"), ("a green star",)))
    prompts = tuple(replace(p, attribute=attribute) for p in images.prompt_set)
    asked = replace(images, prompt_set=replace(images.prompt_set, prompts=prompts))
    (scorer,) = make_scorers(["attribute_diversity"], "embedded")
    scorer.load()
    clip = scorer._clip  # type: ignore[attr-defined]
    seen = shown(asked).embeddings(clip)
    red, green = (shown(asked).text_embeddings(clip, texts).mean(0) for texts in attribute.texts)
    is_green = seen @ (green / np.linalg.norm(green)) > seen @ (red / np.linalg.norm(red))
    expected = [share_that_differ(list(part)) for part in is_green.reshape(3, 4).astype(int).tolist()]
    assert values("attribute_diversity", asked) == pytest.approx(expected)


def test_a_prompt_without_an_open_attribute_is_undefined(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=1, k=2)
    foreign = replace(images.prompt_set.prompts[0], text="an elephant in a zoo")
    images = replace(images, prompt_set=PromptSet("foreign", "1", (foreign,)))
    (scorer,) = make_scorers(["attribute_diversity"], "embedded")
    scorer.load()
    (row,) = scorer.score(images)
    assert (row.status, row.note) == ("missing", "undefined: the prompt names no open attribute")


def test_other_weights_do_not_ask_the_embedded_grammar(world: Path, make_set: MakeSet) -> None:
    (scorer,) = make_scorers([f"attribute_diversity(weights={str(world / 'shapes-clip')!r})"], "embedded")
    scorer.load()
    assert all(row.value is None for row in scorer.score(make_set(prompts=2, k=2)))


def test_other_values_of_the_same_prompts_are_scored_again(
    world: Path, make_set: MakeSet, tmp_path: Path
) -> None:
    images = make_set(prompts=2, k=4)

    def scored(*values: str) -> list[float | None]:
        attribute = OpenAttribute("colour", values, tuple((f"a {value} star",) for value in values))
        prompts = tuple(replace(p, attribute=attribute) for p in images.prompt_set)
        asked = replace(images, prompt_set=replace(images.prompt_set, prompts=prompts))
        made = make_scorers(["attribute_diversity"], "embedded")
        rows = score_all(asked, made, Loaded("cpu"), ScoreCache(tmp_path / "out"), lambda done, of: None)
        forget(asked)
        return [row.value for row in rows]

    first = scored("red", "green")
    assert scored("red", "green") == first
    # A fresh cache says what a stale one must not hide.
    other = scored("blue", "yellow", "pink", "cyan", "purple")
    fresh = ScoreCache(tmp_path / "fresh")
    assert not fresh.has_any(images.id, make_scorers(["attribute_diversity"], "embedded")[0])
    assert other != first


@pytest.mark.parametrize("name", sorted(LEAST))
def test_half_precision_moves_no_value_further_than_stated(name: str, make_set: MakeSet) -> None:
    images = make_set(prompts=25, k=4)
    found = []
    for precision in ("fp32", "bf16"):
        (scorer,) = make_scorers([name], "embedded", precision=precision)
        scorer.load()
        forget(images)
        found.append(np.array([row.value for row in scorer.score(images)], dtype=float))
    assert np.nanmax(abs(found[0] - found[1])) <= scorer.bf16_tolerance
