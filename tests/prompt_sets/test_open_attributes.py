"""What a prompt leaves open: rows of a user's file, the committed set, and the embedded world's grammar."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import OpenAttribute
from benchmark.prompt_sets import load_prompt_set
from benchmark.prompt_sets.files import fill

Write = Callable[[str, str], Path]


def row(**fields: object) -> str:
    return json.dumps({"id": "x", "text": "an apple"} | fields) + "\n"


def test_a_row_names_an_attribute_its_values_and_how_to_say_them(write: Write) -> None:
    path = write("p.jsonl", row(attribute="colour", values=["red", "orange"], template="a {value} apple"))
    (prompt,) = load_prompt_set(str(path))
    assert prompt.attribute == OpenAttribute(
        "colour", ("red", "orange"), (("a red apple",), ("an orange apple",))
    )


def test_several_templates_are_several_texts_and_none_is_the_prompt_and_the_value(write: Write) -> None:
    several = row(attribute="colour", values=["red", "green"], template=["a {value} one", "all {value}"])
    (prompt,) = load_prompt_set(str(write("p.jsonl", several)))
    assert prompt.attribute is not None
    assert prompt.attribute.texts == (("a red one", "all red"), ("a green one", "all green"))
    (prompt,) = load_prompt_set(str(write("q.jsonl", row(attribute="light", values=["at noon", "at night"]))))
    assert prompt.attribute is not None
    assert prompt.attribute.texts == (("an apple, at noon",), ("an apple, at night",))


def test_a_csv_cuts_its_values_at_semicolons(write: Write) -> None:
    path = write("p.csv", "text,attribute,values\nan apple,colour,red; green\na pear,,\n")
    apple, pear = load_prompt_set(str(path))
    assert apple.attribute is not None
    assert apple.attribute.values == ("red", "green")
    assert pear.attribute is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"attribute": "colour"}, "has `attribute` only; it needs both"),
        ({"values": ["red", "green"]}, "has `values` only; it needs both"),
        ({"attribute": "colour", "values": {"red": 1}}, "are no list"),
        ({"attribute": "colour", "values": ["red"]}, "two or more different ones"),
        ({"attribute": "colour", "values": ["red", "red"]}, "two or more different ones"),
        ({"attribute": "colour", "values": ["red", "green"], "template": "a apple"}, "has no {value}"),
        ({"attribute": "colour", "values": ["red", "green"], "template": 3}, "neither a text nor a list"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(write: Write, fields: dict[str, object], said: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        load_prompt_set(str(write("p.jsonl", row(**fields))))
    assert said in str(caught.value)


def test_images_made_elsewhere_bring_their_attribute_along(write: Write) -> None:
    from benchmark.evaluate.external_images import read_images

    def images(*values: str) -> str:
        asked = {"id": "a", "prompt": "an apple", "attribute": "colour", "values": list(values)}
        return "".join(json.dumps(asked | {"image_path": f"{k}.png"}) + "\n" for k in range(2))

    found = read_images(write("one.jsonl", images("red", "green")))
    (prompt,) = found.prompt_set
    assert prompt.attribute == OpenAttribute(
        "colour", ("red", "green"), (("an apple, red",), ("an apple, green",))
    )
    other = read_images(write("two.jsonl", images("red", "blue")))
    assert other.prompt_set.version != found.prompt_set.version


def test_the_pages_example_is_a_prompt_file(write: Write) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "diversity.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    apple, street, plain = load_prompt_set(str(write("p.jsonl", example)))
    assert apple.attribute is not None
    assert apple.attribute.texts[0] == ("a red apple",)
    assert street.attribute is not None
    assert street.attribute.texts[1] == ("a street, at night",)
    assert plain.attribute is None
    assert f"`open-attributes` has {len(load_prompt_set('open-attributes'))} such prompts" in page


def test_articles_follow_the_value() -> None:
    assert fill("A {value} egg in a {value} cup", "orange") == "An orange egg in an orange cup"
    assert fill("an {value} one, area {value}", "red") == "a red one, area red"


def test_the_committed_set_is_as_large_as_promised_and_its_texts_differ() -> None:
    found = load_prompt_set("open-attributes")
    assert len(found) >= 40
    assert len({p.text for p in found}) == len(found)
    for prompt in found:
        attribute = prompt.attribute
        assert attribute is not None
        assert prompt.tags[0] == attribute.name.replace(" ", "_")
        for value, texts in zip(attribute.values, attribute.texts, strict=True):
            assert value not in prompt.text, "a prompt that states the value does not leave it open"
            assert all(value in text and "{" not in text for text in texts)


def test_open_100_has_100_tagged_prompts_of_ten_kinds() -> None:
    found = load_prompt_set("open-100")
    assert len({p.text for p in found}) == 100
    assert all(p.tags and p.attribute is None for p in found)
    assert len({p.tags[0] for p in found}) == 10


def test_captions_of_a_value_state_the_prompts_facts_and_the_value_and_nothing_else() -> None:
    from benchmark.shapes.facts import with_fact
    from benchmark.shapes.grammar import open_attributes, parse

    for prompt in load_prompt_set("shapes-core", limit=60):
        facts = parse(prompt.text)
        for attribute in open_attributes(prompt.text):
            kind, _, place = attribute.name.partition(" ")
            for value, texts in zip(attribute.values, attribute.texts, strict=True):
                stated = with_fact(facts, kind, int(place or 1) - 1, value)
                assert stated != facts
                assert [parse(text) for text in texts] == [stated]


def test_what_cannot_be_asked_is_left_out() -> None:
    from benchmark.shapes.grammar import open_attributes

    def names(text: str) -> list[str]:
        return [attribute.name for attribute in open_attributes(text)]

    assert names("a star") == ["colour", "size", "background", "style"]
    assert names("a red star and a heart") == ["size 1", "colour 2", "size 2", "background", "style"]
    # Which of two equal stars would be asked about? And no relation: the scorer cannot read it.
    assert names("two stars") == ["background", "style"]
    assert names("an elephant in a zoo") == []


def test_what_is_asked_can_be_read() -> None:
    """On renders, whose facts are known: every kind that is asked at 80 %, and the relation not."""
    import torch

    from benchmark.core import resources
    from benchmark.networks.open_clip import OpenClip, clip_pixels
    from benchmark.scorers.clip import read_values
    from benchmark.shapes.alignment import as_seen, match
    from benchmark.shapes.facts import draw_facts, wanted
    from benchmark.shapes.grammar import attribute_of_fact, caption, open_attributes
    from benchmark.shapes.readings import reading_of
    from benchmark.shapes.renderer import render, to_uint8
    from benchmark.shapes.scenes import sample_scenes

    tower = OpenClip(resources.shapes_weights("shapes-clip"), "", clip_pixels, "cpu", "clip")
    g = torch.Generator().manual_seed(0)
    facts = [draw_facts(g, "validation") for _ in range(150)]
    scenes = sample_scenes(wanted(facts), g)
    embedded = tower.of_images(list(to_uint8(render(scenes)).numpy()))
    right: dict[str, list[bool]] = {}
    for fact, seen, image in zip(facts, as_seen(reading_of(scenes)), embedded, strict=True):
        slots = seen.slots(len(fact.objects), match(fact, seen).first)
        attributes = list(open_attributes(caption(fact, g)))
        if len(fact.objects) == 2 and fact.relation is None:
            attributes.append(attribute_of_fact(fact, "relation", 0))
        texts = sorted({text for a in attributes for texts in a.texts for text in texts})
        read_texts = {t: e.numpy() for t, e in zip(texts, tower.embed_texts(texts), strict=True)}
        readings = read_values(image[None], read_texts, attributes)
        for attribute, (read,) in zip(attributes, readings, strict=True):
            kind, _, place = attribute.name.partition(" ")
            right.setdefault(kind, []).append(read == slots[kind, int(place or 1) - 1])
    shares = {kind: sum(hits) / len(hits) for kind, hits in right.items()}
    assert set(shares) == {"shape", "colour", "size", "background", "style", "relation"}
    assert shares.pop("relation") < 0.75
    assert min(shares.values()) > 0.8, shares
