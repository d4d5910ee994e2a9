"""Which of the stated facts an image shows, by hard decisions."""

from dataclasses import dataclass

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


def seen_slots(reading: dict[str, list[int] | int], count: int, first: int) -> dict[tuple[str, int], int]:
    """The value of every slot of a prompt's facts if the prompt's first object is the reading's `first`."""
    slots: dict[tuple[str, int], int] = {}
    for i in range(count):
        for kind in ATTRIBUTES:
            slots[kind, i] = reading[kind][first ^ i]  # type: ignore[index]
    if count > 1:
        axis = reading["axis"]
        slots["relation", 0] = -1 if axis == -1 else 2 * axis + first  # type: ignore[operator, assignment]
    slots["background", 0], slots["style", 0] = reading["background"], reading["style"]  # type: ignore[assignment]
    return slots


def as_rows(readings: Readings) -> list[dict[str, list[int] | int]]:
    """The class indices of every image, as plain numbers."""
    kinds = ("count", "shape", "colour", "size", "axis", "background", "style")
    columns = [getattr(readings, k).tolist() for k in kinds]
    return [dict(zip(kinds, row, strict=True)) for row in zip(*columns, strict=True)]


def match(facts: Facts, reading: dict[str, list[int] | int]) -> Match:
    """Compares under both assignments of objects and keeps the better one; the reading's order wins a tie."""
    count = len(facts.objects)
    options = []
    for first in (0, 1):
        seen = seen_slots(reading, count, first)
        right = [("count", reading["count"] == count)]
        right += [(k, seen[k, i] == INDEX[k][v]) for k, i, v in facts.slots() if v is not None]
        options.append(Match(tuple(right), first))
    return max(options, key=lambda m: (m.share, -m.first))


def alignments(facts: list[Facts], readings: Readings) -> list[Match]:
    """The match of every image with its own prompt's facts."""
    return [match(f, r) for f, r in zip(facts, as_rows(readings), strict=True)]


def shares(matches: list[Match]) -> Tensor:
    """The share of facts shown, (n,)."""
    return torch.tensor([m.share for m in matches])
