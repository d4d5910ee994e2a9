"""What an image shows: the answer of an oracle, and the same for a scene that was rendered.

The two objects of a reading are in reading order: the left one first when they stand side by side, else the
upper one.
"""

import math
from dataclasses import dataclass, fields
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmark.shapes.scenes import Scenes
from benchmark.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, SIZES, STYLES

NONE: Final = -1
"""The reader saw no such thing."""

CLASSES: Final[dict[str, tuple[int, int]]] = {
    "count": (1, 2),
    "shape": (2, len(SHAPES)),
    "colour": (2, len(COLOURS)),
    "size": (2, len(SIZES)),
    "axis": (1, 2),
    "background": (1, len(BACKGROUNDS)),
    "style": (1, len(STYLES)),
}
"""For every attribute: how many of it an image has and how many classes each has, besides `none`."""

_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    **{name: (many,) if many > 1 else () for name, (many, _) in CLASSES.items()},
    "centre": (2, 2),
    "radius": (2,),
    "angle": (2,),
}
"""Of every field of a reading, in their order."""


@dataclass(frozen=True)
class Readings:
    """N readings: class indices, `NONE` where nothing was seen; `axis` is 0 for beside, 1 for stacked.

    `count` is 0, 1 or 2. Centres and radii in pixels, angles in degrees, as in `Scenes`.
    """

    count: Int[Tensor, " n"]
    shape: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    size: Int[Tensor, "n 2"]
    axis: Int[Tensor, " n"]
    background: Int[Tensor, " n"]
    style: Int[Tensor, " n"]
    centre: Float[Tensor, "n 2 2"]
    radius: Float[Tensor, "n 2"]
    angle: Float[Tensor, "n 2"]

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, index: Tensor | slice) -> "Readings":
        """The readings at `index`."""
        return Readings(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def joined(cls, parts: list["Readings"]) -> "Readings":
        """Several batches as one."""
        return cls(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    def rows(self) -> Float[Tensor, "n columns"]:
        """All fields of a reading in one row of float64, which holds each of them exactly."""
        return torch.cat([getattr(self, f.name).double().reshape(len(self), -1) for f in fields(self)], 1)

    @classmethod
    def of_rows(cls, rows: Float[Tensor, "n columns"]) -> "Readings":
        """The readings whose :meth:`rows` these are."""
        parts = rows.split([math.prod(shape) for shape in _SHAPES.values()], dim=1)
        return cls(**{
            name: part.reshape(-1, *shape).to(torch.int64 if name in CLASSES else torch.float32)
            for (name, shape), part in zip(_SHAPES.items(), parts, strict=True)
        })  # fmt: skip

    def agrees(self, other: "Readings") -> dict[str, Bool[Tensor, " n"]]:
        """For each attribute, whether both readings say the same of the whole image."""
        return {k: (getattr(self, k) == getattr(other, k)).reshape(len(self), -1).all(1) for k in CLASSES}


def reading_of(scenes: Scenes) -> Readings:
    """The perfect reading of rendered scenes."""
    pair = scenes.count == 2
    swap = pair & ((scenes.relation == 1) | (scenes.relation == 3))

    def ordered(values: Tensor) -> Tensor:
        mask = swap.reshape(-1, *[1] * (values.ndim - 1))
        return torch.where(mask, values.flip(1), values)

    def seen(values: Tensor) -> Tensor:
        return torch.where(torch.stack([torch.ones_like(pair), pair], 1), ordered(values), NONE)

    return Readings(
        count=scenes.count,
        shape=seen(scenes.shape),
        colour=seen(scenes.colour),
        size=seen(scenes.size),
        axis=torch.where(pair, scenes.relation.clamp(min=0) // 2, NONE),
        background=scenes.background,
        style=scenes.style,
        centre=ordered(scenes.centre),
        radius=ordered(scenes.radius),
        angle=ordered(scenes.angle),
    )
