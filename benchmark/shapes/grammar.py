"""Captions in ordinary English, and back: `parse(caption(facts)) == facts` for all facts.

The grammar, with every part but the noun optional:

    [style: | style of] [background,] a [size] [colour] noun [relation a [size] [colour] noun]
    [background][, style]
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import torch

from benchmark.core.records import OpenAttribute
from benchmark.shapes.alignment import LEXICONS
from benchmark.shapes.facts import ATTRIBUTES, Facts, ObjectFacts, with_fact
from benchmark.shapes.vocabulary import (
    ANYTHING,
    BACKGROUNDS,
    COLOURS,
    RELATIONS,
    SHAPES,
    SIZES,
    STYLES,
    Lexicon,
)


def caption(facts: Facts, generator: torch.Generator) -> str:
    """One of the many captions that state exactly these facts."""
    return _Writer(generator).write(facts)


def parse(text: str) -> Facts:
    """The facts a caption states.

    Raises:
        ValueError: the text is not a caption of this grammar; the message says which part was not understood.
    """
    rest = " " + re.sub(r"[,:;.]", " ", text.lower()) + " "
    style, rest = _take(rest, STYLES)
    background, rest = _take(rest, BACKGROUNDS)
    relation, rest = _take(rest, RELATIONS, replacement=" | ")
    rest = rest.replace(" and ", " | ")
    things: list[ObjectFacts] = []
    for part in rest.split("|"):
        found = _parse_object(part, text)
        things += [found] * (2 if " two " in part else 1)
    if not 1 <= len(things) <= 2:
        raise ValueError(f"{text!r} names {len(things)} objects; a scene holds one or two")
    return Facts(tuple(things), relation, background, style)


def plural(noun: str) -> str:
    """The plural of a noun of the vocabulary.

    >>> plural("love heart"), plural("box"), plural("plus")
    ('love hearts', 'boxes', 'pluses')
    """
    return noun + ("es" if noun.endswith(("s", "x")) else "s")


class _Writer:
    """Chooses among synonyms and orders with one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def _chance(self, p: float) -> bool:
        return bool(torch.rand((), generator=self._generator) < p)

    def _choose(self, options: Sequence[str]) -> str:
        """The canonical word half of the time, else any synonym."""
        if self._chance(0.5):
            return options[0]
        return options[int(torch.randint(len(options), (), generator=self._generator))]

    def _phrase(self, thing: ObjectFacts, article: str, many: bool = False) -> str:
        noun = self._choose(SHAPES[thing.shape]) if thing.shape else self._choose(ANYTHING)
        words = [self._choose(SIZES[thing.size])] if thing.size else []
        words += [self._choose(COLOURS[thing.colour])] if thing.colour else []
        words.append(plural(noun) if many else noun)
        if article == "a" and words[0][0] in "aeiou":
            article = "an"
        return " ".join([article, *words])

    def write(self, facts: Facts) -> str:
        first, *others = facts.objects
        if not others:
            text = self._phrase(first, "one" if self._chance(0.1) else "a")
        elif others[0] == first and facts.relation is None:
            text = self._phrase(first, "two", many=True)
        else:
            joint = self._choose(RELATIONS[facts.relation]) if facts.relation else "and"
            text = f"{self._phrase(first, 'a')} {joint} {self._phrase(others[0], 'a')}"
        if facts.background:
            place = self._choose(BACKGROUNDS[facts.background])
            text = f"{place}, {text}" if self._chance(0.2) else f"{text} {place}"
        if facts.style:
            manner = self._choose(STYLES[facts.style])
            text = f"{manner}: {text}" if self._chance(0.25) else f"{text}, {manner}"
        return text


def _take(text: str, lexicon: Lexicon, replacement: str = " ") -> tuple[str | None, str]:
    """Finds one phrase of the lexicon, longest first, and cuts it out."""
    phrases = sorted(
        ((phrase, name) for name, options in lexicon.items() for phrase in options), key=lambda p: -len(p[0])
    )
    for phrase, name in phrases:
        if f" {phrase} " in text:
            return name, text.replace(f" {phrase} ", f" {replacement} ", 1)
    return None, text


_NOUNS: Lexicon = {k: (*v, *map(plural, v)) for k, v in SHAPES.items()}
_OPEN_NOUNS: Lexicon = {"any": (*ANYTHING, *map(plural, ANYTHING))}


def _parse_object(part: str, whole: str) -> ObjectFacts:
    shape, rest = _take(part, _NOUNS)
    if shape is None:
        named, rest = _take(rest, _OPEN_NOUNS)
        if named is None:
            nouns = ", ".join((*SHAPES, *ANYTHING))
            raise ValueError(f"{whole!r}: no object in {part.strip()!r}; nouns are {nouns}")
    colour, rest = _take(rest, ATTRIBUTES["colour"])
    size, rest = _take(rest, ATTRIBUTES["size"])
    left = set(rest.split()) - {"a", "an", "one", "two", "the"}
    if left:
        raise ValueError(f"{whole!r}: {' '.join(sorted(left))!r} is not a word of this world")
    return ObjectFacts(shape, colour, size)


# --- what a prompt leaves open, as texts from which a CLIP model reads it off an image -------------


@lru_cache(maxsize=4096)
def open_attributes(text: str) -> tuple[OpenAttribute, ...]:
    """The open facts of a prompt, each with its values' captions; none for a text of another world.

    A value's caption is the world's own for the prompt's facts with that value stated. Left out is what
    cannot be asked or read: facts of two objects that the prompt does not tell apart, and the relation, which
    `shapes-clip` reads right in 58 % of renders (the other kinds: 82 % to 100 %).
    """
    try:
        facts = parse(text)
    except ValueError:
        return ()
    return tuple(
        attribute_of_fact(facts, kind, i)
        for kind, i, value in facts.slots()
        if value is None and _is_readable(facts, kind)
    )


def _is_readable(facts: Facts, kind: str) -> bool:
    alike = len(facts.objects) == 2 and facts.objects[0] == facts.objects[1]
    return kind in ("background", "style") or (kind in ATTRIBUTES and not alike)


def attribute_of_fact(facts: Facts, kind: str, i: int) -> OpenAttribute:
    """One open fact, of the i-th object if it is an object's."""
    values = tuple(LEXICONS[kind])
    # Begun at the same seed the writer makes the same choices: captions differ in the value's words alone.
    texts = [caption(with_fact(facts, kind, i, value), torch.Generator().manual_seed(0)) for value in values]
    return OpenAttribute(
        f"{kind} {i + 1}" if len(facts.objects) > 1 and kind in ATTRIBUTES else kind,
        values,
        tuple((t,) for t in texts),
    )
