"""Captions can be read back, splits share nothing, and what a caption states is what a scene shows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.shapes.facts import SPLITS, STATED, Facts, ObjectFacts, draw_facts, wanted
from benchmark.shapes.grammar import caption, parse, plural
from benchmark.shapes.vocabulary import ANYTHING, BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES, STYLES


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_every_caption_is_read_back(seed: int) -> None:
    g = seeded(seed)
    facts = draw_facts(g)
    assert parse(caption(facts, g)) == facts


@pytest.mark.parametrize("lexicon", [SHAPES, COLOURS, SIZES, RELATIONS, BACKGROUNDS, STYLES])
def test_no_word_belongs_to_two_names(lexicon: dict[str, tuple[str, ...]]) -> None:
    words = [word for options in lexicon.values() for word in options]
    assert len(words) == len(set(words))


def test_every_synonym_is_used_and_understood() -> None:
    g = seeded(1)
    seen = " ".join(caption(draw_facts(g), g) for _ in range(4000))
    words = [
        w for lex in (SHAPES, COLOURS, SIZES, RELATIONS, BACKGROUNDS, STYLES) for o in lex.values() for w in o
    ]
    missing = [w for w in (*words, *ANYTHING) if w not in seen and plural(w) not in seen]
    assert not missing


def test_hand_written_captions() -> None:
    thing = ObjectFacts("star", "red", "small")
    assert parse("a tiny crimson star over something round thing".replace("something ", "a ")) == Facts(
        (thing, ObjectFacts("circle")), relation="above"
    )
    assert parse("two hearts, winter") == Facts((ObjectFacts("heart"), ObjectFacts("heart")), style="winter")


@pytest.mark.parametrize(
    "text", ["", "a dog", "a red star and a green heart and a blue box", "a red red-hot star"]
)
def test_other_english_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="objects|nouns|word"):
        parse(text)


def test_splits_are_disjoint_and_as_large_as_stated() -> None:
    g = seeded(2)
    drawn = [draw_facts(g) for _ in range(4000)]
    by_key = {f.key: f.split for f in drawn}
    assert all(by_key[f.key] == f.split for f in drawn)
    for name, percent in SPLITS.items():
        share = 100 * sum(s == name for s in by_key.values()) / len(by_key)
        assert abs(share - percent) < 4, name
    assert all(draw_facts(g, "test").split == "test" for _ in range(50))


def test_facts_are_stated_as_often_as_declared() -> None:
    g = seeded(3)
    slots = [slot for _ in range(3000) for slot in draw_facts(g).slots()]
    for kind, p in STATED.items():
        values = [value is not None for k, _, value in slots if k == kind]
        assert abs(sum(values) / len(values) - p) < 0.05, kind


def test_wanted_keeps_what_is_stated_and_opens_the_rest() -> None:
    facts = Facts(
        (ObjectFacts("heart", None, "large"), ObjectFacts(None, "pink")), relation="below", style="sketch"
    )
    want = wanted([facts])
    assert want.count.tolist() == [2]
    assert want.shape.tolist() == [[list(SHAPES).index("heart"), -1]]
    assert want.colour.tolist() == [[-1, list(COLOURS).index("pink")]]
    assert want.relation.tolist() == [list(RELATIONS).index("below")]
    assert want.background.tolist() == [-1]
