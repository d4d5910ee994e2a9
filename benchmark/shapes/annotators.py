"""Two populations of annotators, whose reward is known:  r = c A (1 + q).

A is the share of the prompt's facts that the image shows, 0 if it is no scene. q in [0, 1] is the
population's taste for what the prompt leaves *open*: the mean, weighted by `WEIGHTS`, of its liking for the
value shown of every open fact. So of two pictures that both show what was asked, the one with the better
liked colour, background, style wins; taste multiplies content and can never pay for its loss; and what is
liked is a few values of many, so that satisfying it everywhere costs diversity. Labels follow Bradley and
Terry: P(a is preferred to b) = sigma(r_a - r_b).
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.shapes.alignment import LEXICONS, Match, Seen, as_seen
from benchmark.shapes.facts import Facts
from benchmark.shapes.readings import Readings

TASTE_VERSION: Final = 2
"""Of the likings and what labels are made of; it is part of the version of every scorer of taste."""

C: Final = 10.0
"""Sharpness of the annotators: set so that two of one population agree on 85 to 90 % of training pairs."""

WEIGHTS: Final = {"colour": 1.0, "background": 1.0, "style": 1.0, "size": 0.5, "shape": 0.5}
"""How much an open fact of each kind counts. Nobody cares which object stands on the left."""

Likings: TypeAlias = dict[str, dict[str, float]]
"""For each kind of fact, the liking in [0, 1] for each of its values."""


def open_likings(facts: Facts) -> Iterator[tuple[str, int, float]]:
    """(kind, object, weight) of every open fact that annotators have a taste for."""
    for kind, i, value in facts.slots():
        if value is None and kind in WEIGHTS:
            yield kind, i, WEIGHTS[kind]


_SHARED: Final[Likings] = {
    "background": {"meadow": 1.0, "desert": 0.6, "night": 0.4, "stripes": 0.2, "white": 0.0},
    "size": {"large": 1.0, "small": 0.0},
    "shape": {"heart": 1.0, "star": 0.8, "circle": 0.6, "triangle": 0.4, "cross": 0.2, "square": 0.0},
}
"""What both populations like."""

POPULATIONS: Final[dict[str, Likings]] = {
    "population_1": _SHARED
    | {
        "colour": {
            "red": 1.0, "pink": 0.8, "orange": 0.7, "yellow": 0.5,
            "purple": 0.4, "cyan": 0.2, "green": 0.1, "blue": 0.0,
        },
        "style": {"pixel": 1.0, "flat": 0.6, "winter": 0.4, "van_gogh": 0.2, "sketch": 0.0},
    },
    "population_2": _SHARED
    | {
        "colour": {
            "blue": 1.0, "purple": 0.8, "cyan": 0.6, "red": 0.5,
            "pink": 0.4, "green": 0.3, "orange": 0.1, "yellow": 0.0,
        },
        "style": {"flat": 1.0, "van_gogh": 0.8, "sketch": 0.5, "pixel": 0.3, "winter": 0.0},
    },
}  # fmt: skip
"""The first, which likes large red hearts in a meadow as pixel art, labels training pairs; the second, cooler
in its colours and with other styles, is held out. Fixed before any policy was trained on them."""


def taste(
    facts: list[Facts], readings: Readings, matches: list[Match], likings: Likings
) -> Float[Tensor, " n"]:
    """The taste q in [0, 1], the weighted mean liking for what each image shows of the open facts.

    A fact that cannot be read is not liked at all: 0. Where nothing is open q is NaN, for there is no taste.
    """
    rows = zip(facts, as_seen(readings), matches, strict=True)
    return torch.tensor([_taste(f, seen, m.first, likings) for f, seen, m in rows])


def _taste(facts: Facts, seen: Seen, first: int, likings: Likings) -> float:
    shown = seen.slots(len(facts.objects), first)
    found = [(weight, _liking(likings, kind, shown[kind, i])) for kind, i, weight in open_likings(facts)]
    total = sum(weight for weight, _ in found)
    return sum(weight * liked for weight, liked in found) / total if total else float("nan")


def _liking(likings: Likings, kind: str, value: int) -> float:
    return 0.0 if value < 0 else likings[kind][tuple(LEXICONS[kind])[value]]


def reward(alignment: Float[Tensor, " n"], scene: Tensor, q: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """R = c A (1 + q), and 0 where there is no scene; without a taste q counts as 1/2, the middle."""
    return C * alignment * scene * (1 + q.nan_to_num(nan=0.5))
