"""Labels beside their points, where they cover nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from benchmark.export.figures.style import LABEL

_NEAR = 5.0
_FAR = (5.0, 11.0, 18.0, 27.0, 38.0)
"""Points from the point to its label, nearest first; beyond the first a thin line leads there."""
_AROUND = (45, 135, 315, 225, 0, 180, 90, 270)
"""Degrees, best first."""
_FREE = 0.5
"""Square pixels of overlap that are none."""


@dataclass(frozen=True)
class Label:
    """A text that belongs to a point.

    Attributes:
        x: Where the point is, in data units.
        y: Where the point is, in data units.
        text: What to write.
        colour: Its colour.
        optional: Whether it is rather left out than put on top of something.
        size: Of the letters, in points.
    """

    x: float
    y: float
    text: str
    colour: str
    optional: bool = False
    size: float = LABEL


def place_labels(
    axes: Axes, labels: Sequence[Label], obstacles: Sequence[Bbox], soft: Sequence[Bbox] = ()
) -> bool:
    """Writes each label at the place around its point that overlaps least.

    Args:
        axes: Where to; its limits must be final.
        labels: What to write, in order of importance.
        obstacles: Boxes in pixels that must stay free, such as markers.
        soft: Boxes that had better stay free, such as outlines.

    Returns:
        Whether every label that is not optional covers nothing and lies within the axes.
    """
    figure = axes.figure
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[arg-type,no-untyped-call]
    to_pixels = figure.dpi / 72
    inside = axes.get_window_extent(renderer)
    taken = list(obstacles)
    clear = True
    for label in labels:
        note = _annotation(axes, label)
        size = note.get_window_extent(renderer)
        note.remove()
        x, y = axes.transData.transform((label.x, label.y))
        candidates = []
        for far in _FAR:
            for turn in _AROUND:
                box = _box(x, y, size.width, size.height, far * to_pixels, turn)
                covered = sum(_overlap(box, other) for other in taken)
                hard = covered + box.width * box.height - _overlap(box, inside)
                # A long leader is worth avoiding as much as touching a few outlines.
                nuisance = sum(_overlap(box, other) for other in soft) + 4 * (far - _NEAR) * to_pixels
                candidates.append((hard if hard > _FREE else 0.0, nuisance, far, turn, box))
        hard, _, far, turn, box = min(candidates, key=lambda c: c[:2])
        if hard:
            if label.optional:
                continue
            clear = False
        taken.append(box)
        centre = ((box.x0 + box.x1) / 2 - x, (box.y0 + box.y1) / 2 - y)
        _annotation(axes, label, (centre[0] / to_pixels, centre[1] / to_pixels), leader=far > _NEAR)
    return clear


def _box(x: float, y: float, width: float, height: float, far: float, turn: int) -> Bbox:
    """The box of a text whose nearest edge or corner is `far` from the point, in direction `turn`."""
    across, up = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    centre_x = x + far * across + _sign(across) * width / 2
    centre_y = y + far * up + _sign(up) * height / 2
    return Bbox.from_bounds(centre_x - width / 2, centre_y - height / 2, width, height)


def _sign(value: float) -> int:
    return 0 if abs(value) < 1e-9 else int(math.copysign(1, value))


def _annotation(
    axes: Axes, label: Label, centre: tuple[float, float] = (0.0, 0.0), *, leader: bool = False
) -> Annotation:
    arrow = {"arrowstyle": "-", "lw": 0.4, "color": label.colour, "shrinkA": 0.5, "shrinkB": 2.5}
    return axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=centre,
        textcoords="offset points",
        ha="center",
        va="center",
        color=label.colour,
        fontsize=label.size,
        annotation_clip=False,
        arrowprops=arrow if leader else None,
    )


def _overlap(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return both.width * both.height if both else 0.0
