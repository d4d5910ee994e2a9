"""Scenes as tensors: which objects, where, in which rendering. Sampling keeps every scene readable."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from benchmark.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, STYLES

SIDE = 64
"""Pixels along each side of an image."""
RADIUS = ((8.5, 9.8), (12.4, 14.0))
"""Half the extent of a small and of a large object, in pixels: disjoint ranges."""
MAX_ANGLE = 20.0
"""Degrees; more would turn a square into a diamond and a cross into an x."""
MARGIN = 3.0
"""Pixels between an object and the border, and between two objects."""
RELATION_GAP = 7.0
"""How much further apart two objects are along the stated axis than along the other, in pixels."""
OPEN = -1
"""An attribute the caller leaves open: `sample_scenes` draws it."""


@dataclass(frozen=True)
class Scenes:
    """N scenes of one or two objects. Attributes are indices into the lexicons of `vocabulary`.

    Only pictures that are no scenes, for the readers' training, have more objects.

    `relation` is that of object 0 to object 1 (left, right, above, below) and -1 for a single object.
    Centres and radii are in pixels, x to the right and y down; angles in degrees, anticlockwise.
    `softness` is the width of an edge in pixels; `tint`, `light` and `phase` vary what no caption names.
    """

    count: Int[Tensor, " n"]
    shape: Int[Tensor, "n objects"]
    colour: Int[Tensor, "n objects"]
    size: Int[Tensor, "n objects"]
    relation: Int[Tensor, " n"]
    background: Int[Tensor, " n"]
    style: Int[Tensor, " n"]
    centre: Float[Tensor, "n objects 2"]
    radius: Float[Tensor, "n objects"]
    angle: Float[Tensor, "n objects"]
    softness: Float[Tensor, " n"]
    tint: Float[Tensor, "n objects 3"]
    light: Float[Tensor, " n"]
    phase: Float[Tensor, "n 4"]

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, index: Tensor | slice) -> "Scenes":
        """The scenes at `index` (a slice, a mask or integer indices)."""
        return Scenes(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def expand(self, times: int) -> "Scenes":
        """Every scene `times` times in a row."""
        return Scenes(**{f.name: getattr(self, f.name).repeat_interleave(times, dim=0) for f in fields(self)})

    def with_(self, **changes: Tensor) -> "Scenes":
        """A copy with some fields replaced."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Wanted:
    """What must hold in a scene; `OPEN` entries are drawn. The same attributes as `Scenes`."""

    count: Int[Tensor, " n"]
    shape: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    size: Int[Tensor, "n 2"]
    relation: Int[Tensor, " n"]
    background: Int[Tensor, " n"]
    style: Int[Tensor, " n"]

    @classmethod
    def anything(cls, n: int) -> "Wanted":
        """N scenes about which nothing is stated."""
        return cls(*(torch.full(s, OPEN) for s in ((n,), (n, 2), (n, 2), (n, 2), (n,), (n,), (n,))))

    def with_count(self, objects: int) -> "Wanted":
        """The same with one or two objects."""
        return replace(self, count=torch.full_like(self.count, objects))


def sample_scenes(wanted: Wanted, generator: torch.Generator) -> Scenes:
    """Draws scenes that show what is wanted; everything left open is uniform, geometry by rejection.

    Sprites in pixel art stand upright: turned in cells of two pixels, a small square is no longer one.
    """
    n = len(wanted.count)

    def draw(values: Tensor, high: int, low: int = 0) -> Tensor:
        return torch.where(
            values == OPEN, torch.randint(low, high, values.shape, generator=generator), values
        )

    count = draw(wanted.count, 3, 1)
    size = draw(wanted.size, 2)
    relation = torch.where(count == 2, draw(wanted.relation, 4), OPEN)
    centre, radius = _place(count, size, relation, generator)
    style = draw(wanted.style, len(STYLES))
    upright = (style == list(STYLES).index("pixel"))[:, None]

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    return Scenes(
        count=count,
        shape=draw(wanted.shape, len(SHAPES)),
        colour=draw(wanted.colour, len(COLOURS)),
        size=size,
        relation=relation,
        background=draw(wanted.background, len(BACKGROUNDS)),
        style=style,
        centre=centre,
        radius=radius,
        angle=torch.where(upright, 0.0, (2 * uniform(n, 2) - 1) * MAX_ANGLE),
        softness=1.0 + 0.8 * uniform(n),
        tint=0.10 * (2 * uniform(n, 2, 3) - 1),
        light=2 * uniform(n) - 1,
        phase=uniform(n, 4),
    )


def _place(
    count: Tensor, size: Tensor, relation: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Centres and radii by rejection: inside the picture, apart, and clear about their relation."""
    n = len(count)
    low, high = (torch.tensor(bound)[size] for bound in zip(*RADIUS, strict=True))
    centre, radius = torch.zeros(n, 2, 2), torch.zeros(n, 2)
    todo = torch.arange(n)
    while len(todo):
        r = low[todo] + (high - low)[todo] * torch.rand(len(todo), 2, generator=generator)
        room = SIDE - 2 * (r + MARGIN)
        c = (r + MARGIN)[..., None] + room[..., None] * torch.rand(len(todo), 2, 2, generator=generator)
        good = (count[todo] == 1) | _clear(c, r, relation[todo])
        centre[todo[good]], radius[todo[good]] = c[good], r[good]
        todo = todo[~good]
    return centre, radius


def _clear(centre: Tensor, radius: Tensor, relation: Tensor) -> Tensor:
    """Whether object 0 stands in `relation` to object 1 beyond doubt, and the two do not touch."""
    dx, dy = (centre[:, 1] - centre[:, 0]).unbind(-1)
    along = torch.stack([dx, -dx, dy, -dy], -1).gather(-1, relation.clamp(min=0)[:, None]).squeeze(-1)
    across = torch.where(relation < 2, dy, dx).abs()
    apart = (dx**2 + dy**2).sqrt() >= radius.sum(-1) + MARGIN
    return apart & (along >= across + RELATION_GAP)
