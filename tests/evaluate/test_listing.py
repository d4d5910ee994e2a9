"""Listings: names and seeds are labels; no renaming, no order and no size of them changes what is what."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.evaluate.listing import PromptImages, prompts_of

SEEDS = st.integers() | st.integers(-(2**70), 2**70) | st.integers(2**63, 2**64 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)


def rows_of(prompts: list[tuple[str, list[int]]], **more: Any) -> list[dict[str, Any]]:
    """A row for each seed of each prompt; its image is named by both."""
    return [
        {"prompt": text, "seed": seed, "image_path": f"{text}/{seed}", **more}
        for text, seeds in prompts
        for seed in seeds
    ]


def images_of(found: list[PromptImages]) -> list[str]:
    return [entry.image for asked in found for entry in asked.images if entry is not None]


def places_of(found: list[PromptImages]) -> dict[str, tuple[str | None, ...]]:
    return {p.prompt.text: tuple(entry.image if entry else None for entry in p.images) for p in found}


@st.composite
def listings(draw: st.DrawFn) -> list[tuple[str, list[int]]]:
    """Prompts with a seed of its own for each image."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    seeds = draw(st.lists(SEEDS, min_size=sum(counts), max_size=sum(counts), unique=True))
    texts = draw(st.lists(TEXTS, min_size=len(counts), max_size=len(counts), unique=True))
    left = iter(seeds)
    return [(text, [next(left) for _ in range(n)]) for text, n in zip(texts, counts, strict=True)]


@given(listings(), st.randoms())
def test_each_image_is_a_place_of_its_own_and_k_is_the_order_of_the_seeds(
    listing: list[tuple[str, list[int]]], order: Any
) -> None:
    rows = rows_of(listing)
    order.shuffle(rows)
    found = prompts_of(rows)
    assert places_of(found) == {text: tuple(f"{text}/{s}" for s in sorted(seeds)) for text, seeds in listing}


@given(listings(), st.integers(-(2**40), 2**40))
def test_seeds_are_labels(listing: list[tuple[str, list[int]]], shift: int) -> None:
    rows = rows_of(listing)
    moved = [{**row, "seed": row["seed"] + shift} for row in rows]
    written = [{**row, "seed": str(row["seed"])} for row in rows]
    assert places_of(prompts_of(rows)) == places_of(prompts_of(moved)) == places_of(prompts_of(written))


@given(listings(), st.data())
def test_an_id_for_each_image_changes_nothing_but_names(
    listing: list[tuple[str, list[int]]], data: st.DataObject
) -> None:
    rows = rows_of(listing)
    ids = st.text("abcdefgh0123456789-_", min_size=1)
    named = data.draw(st.lists(ids, min_size=len(rows), max_size=len(rows), unique=True))
    with_ids = [{**row, "id": f"x{name}"} for row, name in zip(rows, named, strict=True)]
    plain, called = prompts_of(rows), prompts_of(with_ids)
    assert places_of(plain) == places_of(called)
    # An id that only one image of a prompt has is the prompt's name; none is where there are several.
    own = {row["prompt"]: row["id"] for row in with_ids}
    names = {p.prompt.text: p.prompt.id for p in called}
    for text, seeds in listing:
        assert (names[text] == own[text]) == (len(seeds) == 1)
    assert len(set(names.values())) == len(listing)


@given(st.lists(TEXTS, min_size=1, max_size=12))
def test_rows_without_seeds_are_one_place_each_in_their_order(texts: list[str]) -> None:
    rows = [{"prompt": text, "image_path": str(i)} for i, text in enumerate(texts)]
    found = prompts_of(rows)
    assert sorted(images_of(found), key=int) == [str(i) for i in range(len(texts))]
    assert {p.prompt.text: len(p.images) for p in found} == Counter(texts)
    assert [p.prompt.text for p in found] == list(dict.fromkeys(texts))
    for p in found:
        assert [int(e.image) for e in p.images if e] == sorted(int(e.image) for e in p.images if e)


def test_prompt_id_has_the_last_word() -> None:
    rows = [
        {"prompt": "a cat", "image_path": str(i), "prompt_id": name, "id": i} for i, name in enumerate("aab")
    ]
    assert [(p.prompt.id, len(p.images)) for p in prompts_of(rows)] == [("a", 2), ("b", 1)]


def test_what_is_asked_for_is_more_than_the_text() -> None:
    rows = [
        {"prompt": "a cat", "style": style, "image_path": str(i)}
        for i, style in enumerate(["ink", "oil", "ink"])
    ]
    found = prompts_of(rows)
    assert [(p.prompt.style, len(p.images)) for p in found] == [("ink", 2), ("oil", 1)]
    assert len({p.prompt.id for p in found}) == 2
    tagged = [{"prompt": "a cat", "tags": tag, "image_path": tag} for tag in ("count", "animal")]
    assert [p.prompt.tags for p in prompts_of(tagged)] == [("count", "animal")]


@pytest.mark.parametrize("seeds", [(0, 1, 2), (7, 42, 2**64 - 1), (-3, -2, -1)])
def test_seeds_that_prompts_share_are_a_grid_and_a_hole_in_it_is_missing(seeds: tuple[int, ...]) -> None:
    rows = rows_of([(text, list(seeds)) for text in "abc"])
    del rows[4]
    first, middle, last = seeds
    assert places_of(prompts_of(rows))["b"] == (f"b/{first}", None, f"b/{last}")
    assert len(images_of(prompts_of(rows))) == 8
    assert middle


def test_places_are_never_more_than_twice_the_images() -> None:
    # One prompt with every seed, many with one of them each: a grid of 100 x 101 would be all holes.
    listing = [("all", list(range(100))), *((f"p{i}", [i]) for i in range(100))]
    found = prompts_of(rows_of(listing))
    assert sum(len(p.images) for p in found) == 200
    own = [(f"p{i}", [i * 2**40]) for i in range(600)]
    assert sum(len(p.images) for p in prompts_of(rows_of(own))) == 600


@pytest.mark.parametrize(
    "seed", [0.5, True, False, "x", "1.5", float("nan"), float("inf"), 1e300, 2.0**53, [1], "٣"]
)
def test_what_is_no_whole_number_is_no_seed(seed: object) -> None:
    with pytest.raises(ValueError, match=r"row 2 has the seed .*whole number"):
        prompts_of([{"prompt": "a", "image_path": "a"}, {"prompt": "b", "image_path": "b", "seed": seed}])


@pytest.mark.parametrize(
    ("given_", "meant"), [(3.0, 3), ("3", 3), (" -3 ", -3), ("+3", 3), (None, None), ("", None)]
)
def test_whole_numbers_in_other_clothes_are_seeds(given_: object, meant: int | None) -> None:
    (asked,) = prompts_of([{"prompt": "a", "image_path": "a", "seed": given_}])
    assert [entry.seed for entry in asked.images if entry] == [meant]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a"}, {"id": "a", "prompt": "y"}], "id 'a' stands for two prompts, in rows 1 and 2"),
        ([{"prompt_id": 1}, {"prompt_id": "1", "prompt": "y"}], "prompt_id '1' stands for two prompts"),
        ([{"seed": 5}, {"seed": "5"}], "rows 1 and 2 are two images of seed 5 of one prompt"),
        ([{"seed": 5, "id": "a"}, {}, {"seed": 5, "id": "a", "image_path": "j"}], ""),
        ([{"seed": 5, "id": "a"}, {"seed": 5, "id": "b"}], ""),
        ([{"tags": 5}], "row 1 has tags that are neither"),
        ([{"style": ["a"]}], "row 1 has a style that is no text"),
        ([{"image_path": None}], "row 1 has an image_path that is no text"),
        ([{"id": "\ud83d"}], "surrogates not allowed"),
    ],
)
def test_rows_that_contradict_each_other_are_named(rows: list[dict[str, object]], said: str) -> None:
    whole = [{"prompt": "x", "image_path": f"{i}.png", **row} for i, row in enumerate(rows)]
    if not said:
        assert len(images_of(prompts_of(whole))) == len(rows)
        return
    with pytest.raises((TypeError, ValueError), match=said):
        prompts_of(whole)
