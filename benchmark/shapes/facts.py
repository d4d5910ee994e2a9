"""What a caption states: one or two objects, a relation, a background, a style; anything may be left open."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

import torch

from benchmark.shapes.scenes import OPEN, Wanted
from benchmark.shapes.vocabulary import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES, STYLES, Lexicon

SPLITS: Final[dict[str, int]] = {"pretrain": 60, "preference": 28, "validation": 5, "test": 7}
"""Percent of all fact combinations that belong to each split; `Facts.split` decides, so they are disjoint."""

STATED: Final[dict[str, float]] = {
    "shape": 0.85,
    "colour": 0.7,
    "size": 0.45,
    "relation": 0.7,
    "background": 0.55,
    "style": 0.55,
}
"""Probability that a caption states each kind of fact."""

ATTRIBUTES: Final[dict[str, Lexicon]] = {"shape": SHAPES, "colour": COLOURS, "size": SIZES}
"""The attributes of an object."""


@dataclass(frozen=True, order=True)
class ObjectFacts:
    """What is stated of one object; `None` leaves the attribute open."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a caption states. The number of objects is always stated; `relation` is object 0's to object 1."""

    objects: tuple[ObjectFacts, ...]
    relation: str | None = None
    background: str | None = None
    style: str | None = None

    @property
    def key(self) -> str:
        """A canonical line, equal for equal facts."""
        return repr(astuple(self))

    @property
    def split(self) -> str:
        """The split these facts belong to, by hash: no two splits ever share a prompt's meaning."""
        bucket = int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:8]) % 100
        for name, percent in SPLITS.items():
            if bucket < percent:
                return name
            bucket -= percent
        raise AssertionError("the percentages of SPLITS add up to 100")

    def slots(self) -> Iterator[tuple[str, int, str | None]]:
        """(kind, object index, value or None) of every fact besides the count, stated or open."""
        for i, thing in enumerate(self.objects):
            for kind in ATTRIBUTES:
                yield kind, i, getattr(thing, kind)
        if len(self.objects) > 1:
            yield "relation", 0, self.relation
        yield "background", 0, self.background
        yield "style", 0, self.style

    @property
    def stated(self) -> int:
        """How many facts are stated, the count included."""
        return 1 + sum(value is not None for _, _, value in self.slots())

    @property
    def open(self) -> int:
        """How many facts are left open."""
        return sum(value is None for _, _, value in self.slots())


def draw_facts(generator: torch.Generator, split: str | None = None) -> Facts:
    """Random facts, each stated with the probability `STATED` gives; of one split when it is named."""

    def chance(p: float) -> bool:
        return bool(torch.rand((), generator=generator) < p)

    def pick(kind: str, lexicon: Lexicon) -> str | None:
        index = int(torch.randint(len(lexicon), (), generator=generator))
        return list(lexicon)[index] if chance(STATED[kind]) else None

    while True:
        count = 2 if chance(0.5) else 1
        things = [ObjectFacts(*(pick(k, lexicon) for k, lexicon in ATTRIBUTES.items())) for _ in range(count)]
        if count == 2 and chance(0.12):
            things[1] = things[0]
        relation = pick("relation", RELATIONS) if count > 1 else None
        facts = Facts(tuple(things), relation, pick("background", BACKGROUNDS), pick("style", STYLES))
        if split is None or facts.split == split:
            return facts


def with_fact(facts: Facts, kind: str, index: int, value: str) -> Facts:
    """The same facts with one of them stated otherwise; `index` is the object's."""
    if kind not in ATTRIBUTES:
        other: dict[str, Any] = {kind: value}
        return replace(facts, **other)
    things = list(facts.objects)
    things[index] = replace(things[index], **{kind: value})
    return replace(facts, objects=tuple(things))


def wanted(facts: Sequence[Facts]) -> Wanted:
    """The facts as tensors for `scenes.sample_scenes`."""
    want = Wanted.anything(len(facts))
    for n, fact in enumerate(facts):
        want.count[n] = len(fact.objects)
        for kind, i, value in fact.slots():
            if value is None:
                continue
            if kind in ATTRIBUTES:
                getattr(want, kind)[n, i] = list(ATTRIBUTES[kind]).index(value)
            else:
                lexicon = {"relation": RELATIONS, "background": BACKGROUNDS, "style": STYLES}[kind]
                getattr(want, kind)[n] = list(lexicon).index(value)
    assert want.count.ne(OPEN).all()
    return want
