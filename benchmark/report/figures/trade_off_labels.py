"""Labels of the trade-off figure: what its points are called, and places where they cover nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from numpy.typing import NDArray

from benchmark.core.records import Frontier
from benchmark.leaderboard.names import without_knee
from benchmark.leaderboard.optimum_lines import HOLLOW_BELOW
from benchmark.report.figures.style import (
    COLOURS,
    FRONTIER_DASHES,
    INK,
    LABEL,
    MUTED,
    SMALLEST,
    look,
    shown,
)
from benchmark.report.figures.trade_off_points import Point

_NEAR = 5.0
_FAR = (5.0, 11.0, 18.0, 27.0, 38.0)
"""Points from the point to its label, nearest first; beyond the first a thin line leads there."""
_AROUND = (45, 135, 315, 225, 0, 180, 90, 270)
"""Degrees, best first."""
_DISTANCES = np.repeat(_FAR, len(_AROUND))
_LEADER = 4.0
"""Cost of a pixel more of a leader, in square pixels of outlines covered."""
_FREE = 0.5
"""Square pixels of overlap that are none."""

Boxes = NDArray[np.float64]

FEW = 8
"""Points up to which whole names are tried beside them."""

Naming = tuple[list[str], dict[str, str]]
"""The text beside each point, and the legend's entry of each method."""


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


def namings(points: Sequence[Point]) -> list[Callable[[Sequence[Point]], Naming]]:
    """The ways to try, best first."""
    methods = len(methods_of(points))
    if methods > len(COLOURS):
        return [_numbers]
    each = methods == len(points) - 1
    return [_whole_names, _details, _numbers] if each and methods < FEW else [_details, _numbers]


def _whole_names(points: Sequence[Point]) -> Naming:
    return [shown(point.name) + _support(point) for point in points], {}


def _details(points: Sequence[Point]) -> Naming:
    reference, *others = points
    texts = [shown(point.detail, 24) + _support(point) for point in others]
    entries = {point.method: shown(point.method) for point in others}
    return [shown(reference.name, 24) + _support(reference), *(text.strip() for text in texts)], entries


def _numbers(points: Sequence[Point]) -> Naming:
    reference, *others = points
    entries: dict[str, str] = {}
    for number, point in enumerate(others, start=1):
        method = shown(point.method)
        if sum(other.method == point.method for other in others) == 1:
            entries[point.method] = f"{number} {method}{_support(point)}"
            continue
        # One word, which no line break tears apart.
        text = f"{number} {shown(point.detail)}{_support(point)}".replace(" ", "\N{NO-BREAK SPACE}")
        entries[point.method] = (
            f"{entries[point.method]}, {text}" if point.method in entries else f"{method}: {text}"
        )
    return [shown(reference.name, 24) + _support(reference), *map(str, range(1, len(others) + 1))], entries


def _support(point: Point) -> str:
    if point.support is None:
        return ""
    share = f"{100 * point.support:.0f}"
    return f" ({'<1' if share == '0' else share} %)"


def methods_of(points: Sequence[Point]) -> list[str]:
    """The methods of all but the first point, each once."""
    return list(dict.fromkeys(point.method for point in points[1:]))


def frontier_labels(frontiers: Sequence[Frontier]) -> tuple[list[Label], list[Label]]:
    """The name of each at its last point, and what its other points are, where there is room."""
    names, others = [], []
    for frontier in frontiers:
        *first, last = frontier.points
        text = f"{shown(frontier.name, 36)}: {shown(last.label, 14)}"
        names.append(Label(last.x, last.y, text, INK, size=SMALLEST))
        # The first point says where the line comes from; what lies between is more of the same.
        others += [Label(p.x, p.y, shown(p.label, 14), MUTED, optional=True, size=SMALLEST) for p in first]
    return names, others


def looks_of_lines(lines: Sequence[Frontier], methods: Sequence[str]) -> list[tuple[str, tuple[float, ...]]]:
    """Colour and dashes of each optimum: its method's colour, drawn through, else another one with dashes.

    Args:
        lines: The optima.
        methods: Such as ``f_dpo reverse_kl``; the first under a divergence counts.
    """
    own: dict[str, int] = {}
    for i, method in enumerate(methods):
        own.setdefault(without_knee(method.partition(" ")[2]), i)
    others = [line.divergence for line in lines if line.divergence not in own]
    number = own | {name: len(methods) + i for i, name in enumerate(others)}
    return [(look(number[line.divergence])[0], FRONTIER_DASHES[line.divergence in others]) for line in lines]


def handles_of_lines(lines: Sequence[Frontier], methods: Sequence[str]) -> list[Line2D]:
    """The legend's entries of the optima."""
    return [
        Line2D([], [], color=colour, lw=1.0, dashes=dashes, label=f"optimum {shown(line.divergence, 24)}")
        for line, (colour, dashes) in zip(lines, looks_of_lines(lines, methods), strict=True)
    ]


def lines_in_words(lines: Sequence[Frontier]) -> str:
    """What the lines of optima are, for a caption."""
    facts = sorted({(shown(line.reward, 30), line.pool) for line in lines})
    of = " and of ".join(f"{reward} on {pool} images of the base a prompt" for reward, pool in facts)
    return (
        f"Lines: the optimum under each divergence, of {of}, laid at the base; dotted and hollow: effective "
        f"sample size below {HOLLOW_BELOW:g} of that."
    )


def place_labels(axes: Axes, labels: Sequence[Label], obstacles: Boxes, soft: Boxes | None = None) -> bool:
    """Writes each label at the place around its point that overlaps least.

    Args:
        axes: Where to; its limits must be final.
        labels: What to write, in order of importance.
        obstacles: Boxes in pixels that must stay free, such as markers: left, bottom, right, top, (n, 4).
        soft: Boxes that had better stay free, such as outlines, likewise.

    Returns:
        Whether every label that is not optional covers nothing and lies within the axes.
    """
    figure = axes.figure
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[arg-type,no-untyped-call]
    to_pixels = figure.dpi / 72
    inside = np.array([axes.get_window_extent(renderer).extents])
    taken = np.asarray(obstacles, dtype=np.float64).reshape(-1, 4)
    outlines = np.zeros((0, 4)) if soft is None else soft
    clear = True
    for label in labels:
        note = _annotation(axes, label)
        size = note.get_window_extent(renderer)
        note.remove()
        point = axes.transData.transform((label.x, label.y))
        boxes = point[[0, 1, 0, 1]] + _candidates(size.width, size.height, to_pixels)
        boxes += _back_inside(boxes, inside[0])
        beyond = size.width * size.height - _overlap(boxes, inside)
        hard = _overlap(boxes, taken) + beyond
        hard[hard < _FREE] = 0
        nuisance = _overlap(boxes, outlines) + _LEADER * (_DISTANCES - _NEAR) * to_pixels
        best = int(np.lexsort((nuisance, hard))[0])
        if hard[best] and label.optional:
            continue
        clear &= not hard[best]
        taken = np.concatenate([taken, boxes[[best]]])
        left, bottom, right, top = (boxes[best] - point[[0, 1, 0, 1]]) / to_pixels
        centre = (float(left + right) / 2, float(bottom + top) / 2)
        _annotation(axes, label, centre, leader=bool(_DISTANCES[best] > _NEAR))
    return clear


def _candidates(width: float, height: float, to_pixels: float) -> Boxes:
    """Boxes about a point at the origin, the nearest edge or corner of each at its distance."""
    turns = np.radians(np.tile(_AROUND, len(_FAR)))
    way = np.column_stack([np.cos(turns), np.sin(turns)]).round(9)
    half = np.array([width, height]) / 2
    centre = way * _DISTANCES[:, None] * to_pixels + np.sign(way) * half
    return np.hstack([centre - half, centre + half])


def _annotation(
    axes: Axes, label: Label, centre: tuple[float, float] = (0.0, 0.0), *, leader: bool = False
) -> Annotation:
    arrow = {"arrowstyle": "-", "lw": 0.6, "color": label.colour, "shrinkA": 0.5, "shrinkB": 2.5}
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


def _back_inside(boxes: Boxes, frame: Boxes) -> Boxes:
    """Moves of each box after which it does not stick out of a frame, (n, 4)."""
    low = np.maximum(frame[:2] - boxes[:, :2], 0)
    high = np.minimum(frame[2:] - boxes[:, 2:], 0)
    move = np.where(low > 0, low, high)
    return np.hstack([move, move])


def _overlap(boxes: Boxes, others: Boxes) -> Boxes:
    """Area that each box shares with the others, (n,)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared: Boxes = np.maximum(high - low, 0).prod(axis=2).sum(axis=1)
    return shared
