"""Which of the stated facts an image shows, by hard decisions."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from benchmark.shapes.facts import ATTRIBUTES, Facts
from benchmark.shapes.readings import Readings
from benchmark.shapes.vocabulary import BACKGROUNDS, RELATIONS, STYLES

LEXICONS = ATTRIBUTES | {"relation": RELATIONS, "background": BACKGROUNDS, "style": STYLES}
INDEX = {kind: {name: i for i, name in enumerate(lexicon)} for kind, lexicon in LEXICONS.items()}


@dataclass(frozen=True)
class Match:
    """One image against one prompt.

    Attributes:
        right: (kind, whether the image shows it) of every stated fact, the count first.
        first: Which object of the reading is the prompt's first: 0 or 1.
    """

    right: tuple[tuple[str, bool], ...]
    first: int

    @property
    def share(self) -> float:
        """The share of the stated facts that the image shows."""
        return sum(ok for _, ok in self.right) / len(self.right)


@dataclass(frozen=True)
class Seen:
    """One reading as plain numbers: class indices, -1 for none; tuples are the two objects."""

    count: int
    shape: tuple[int, int]
    colour: tuple[int, int]
    size: tuple[int, int]
    axis: int
    background: int
    style: int

    def slots(self, count: int, first: int) -> dict[tuple[str, int], int]:
        """The value of every slot of a prompt of `count` objects whose first is the reading's `first`."""
        found = {(k, i): getattr(self, k)[first ^ i] for i in range(count) for k in ATTRIBUTES}
        if count > 1:
            found["relation", 0] = -1 if self.axis == -1 else 2 * self.axis + first
        return found | {("background", 0): self.background, ("style", 0): self.style}


def as_seen(readings: Readings) -> list[Seen]:
    """Every reading as plain numbers."""
    columns = [getattr(readings, field.name).tolist() for field in fields(Seen)]
    return [Seen(*row) for row in zip(*columns, strict=True)]


def match(facts: Facts, reading: Seen) -> Match:
    """Compares under both assignments of objects and keeps the better one; the reading's order wins a tie."""
    count = len(facts.objects)
    options = []
    for first in (0, 1):
        seen = reading.slots(count, first)
        right = [("count", reading.count == count)]
        right += [(k, seen[k, i] == INDEX[k][v]) for k, i, v in facts.slots() if v is not None]
        options.append(Match(tuple(right), first))
    return max(options, key=lambda m: (m.share, -m.first))


def alignments(facts: list[Facts], readings: Readings) -> list[Match]:
    """The match of every image with its own prompt's facts."""
    return [match(f, r) for f, r in zip(facts, as_seen(readings), strict=True)]


def shares(matches: list[Match]) -> Tensor:
    """The share of facts shown, (n,)."""
    return torch.tensor([m.share for m in matches])
