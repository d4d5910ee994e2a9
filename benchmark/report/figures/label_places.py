"""Places of labels in a figure: off the marks and off the regions, as near to their points as that allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path
from matplotlib.text import Annotation
from numpy.typing import NDArray

from benchmark.report.figures.style import LABEL

_NEAR = 6.0
"""Points from the point to its label; further away a thin line leads there."""
_FURTHER = 5.0
"""Cost of a point more, in square points of regions and lines covered."""
_MARGIN = 1.0
"""Points about a label that stay free."""
_LINE = 3.0
"""Cost of a square point of a line or an edge; of a region it is 1."""
_CROSSING = 200.0
"""Cost of a leader that crosses another one: as much as 40 points of way."""

Floats = NDArray[np.float64]
Line = Sequence[tuple[float, float]]


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


class Room:
    """The axes in squares of a point: what must stay free, and what had better."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        root = axes.get_figure(root=True)
        assert root is not None, "axes stand in a figure"
        self._renderer = FigureCanvasAgg(root).get_renderer()  # type: ignore[no-untyped-call]
        self._scale = 72 / root.dpi
        frame = axes.get_window_extent(self._renderer)
        self._origin = np.array([frame.x0, frame.y0])
        across, up = (int(side * self._scale) for side in (frame.width, frame.height))
        self._taken = np.zeros((up, across))
        self._covered = np.zeros((up, across))
        self._leaders = list[tuple[Floats, Floats]]()

    def keep_free(self, places: Line, size: float) -> None:
        """Squares of so many points about places in data units, which no label may touch."""
        for x, y in self._points(places):
            self._fill(self._taken, x - size / 2, y - size / 2, size, size)

    def avoid_line(self, path: Line) -> None:
        """A line through places in data units, which labels had better not cross."""
        ends = self._points(path)
        for start, end in pairwise(ends):
            steps = max(2, int(np.hypot(*(end - start))) + 1)
            for x, y in np.linspace(start, end, steps):
                self._fill(self._covered, x - 1, y - 1, 2, 2, _LINE)

    def avoid_region(self, outline: Floats) -> None:
        """The inside of an outline in data units, (m, 2), which labels had better not cover."""
        up, across = self._covered.shape
        x, y = np.meshgrid(np.arange(across) + 0.5, np.arange(up) + 0.5)
        inside = Path(self._points(outline)).contains_points(np.column_stack([x.ravel(), y.ravel()]))
        self._covered += inside.reshape(up, across)

    def write(self, labels: Sequence[Label]) -> bool:
        """Writes each label where it covers least and is near its point.

        Args:
            labels: In order of importance.

        Returns:
            Whether every label that is not optional touches nothing that must stay free.
        """
        clear = True
        for label in labels:
            note = _annotation(self._axes, label)
            extent = note.get_window_extent(self._renderer)
            note.remove()
            width, height = (side * self._scale + 2 * _MARGIN for side in (extent.width, extent.height))
            (point,) = self._points([(label.x, label.y)])
            found = self._best(point, width, height)
            if found is None or (found[2] and label.optional):
                clear &= label.optional
                continue
            x, y, blocked = found
            clear &= not blocked
            self._fill(self._taken, x, y, width, height)
            away = float(np.hypot(*_way(point, x, y, width, height)))
            centre = (x + width / 2 - point[0], y + height / 2 - point[1])
            if away > _NEAR:
                self._leaders.append((point, point + centre))
            _annotation(self._axes, label, centre, leader=away > _NEAR)
        return clear

    def _best(self, point: Floats, width: float, height: float) -> tuple[float, float, bool] | None:
        """Left and lower edge of the best place, and whether it touches what must stay free."""
        rows, columns = int(np.ceil(height)), int(np.ceil(width))
        up, across = self._taken.shape
        if rows > up or columns > across:
            return None
        y, x = np.mgrid[0 : up - rows + 1, 0 : across - columns + 1].astype(float)
        far = np.hypot(*_way(point, x, y, width, height))
        cost = _sums(self._covered, rows, columns) + _FURTHER * far
        centres = np.stack([x + width / 2, y + height / 2])
        for leader in self._leaders:
            cost += _CROSSING * ((far > _NEAR) & _cross(point, centres, *leader))
        blocked = _sums(self._taken, rows, columns) > 0
        at = np.unravel_index(np.argmin(cost + 1e6 * blocked), cost.shape)
        return float(x[at]), float(y[at]), bool(blocked[at])

    def _points(self, places: Line | Floats) -> Floats:
        """Points from the lower left corner of the axes."""
        pixels = self._axes.transData.transform(np.asarray(places, dtype=np.float64).reshape(-1, 2))
        found: Floats = (pixels - self._origin) * self._scale
        return found

    def _fill(
        self, grid: Floats, x: float, y: float, width: float, height: float, value: float = 1.0
    ) -> None:
        left, bottom = max(0, int(np.floor(x))), max(0, int(np.floor(y)))
        right, top = max(0, int(np.ceil(x + width))), max(0, int(np.ceil(y + height)))
        grid[bottom:top, left:right] = value


def _way(point: Floats, x: Floats | float, y: Floats | float, width: float, height: float) -> Floats:
    """From a box to a point, across and up; 0 where the point lies within the box's reach."""
    return np.array(
        [
            np.maximum(np.maximum(x - point[0], point[0] - x - width), 0.0),
            np.maximum(np.maximum(y - point[1], point[1] - y - height), 0.0),
        ]
    )


def _cross(start: Floats, ends: Floats, other_start: Floats, other_end: Floats) -> NDArray[np.bool_]:
    """Whether the straight way from a point to each of (2, ...) ends crosses another one."""

    def side(a: Floats, b: Floats, c: Floats) -> Floats:
        """Above 0 where c lies to the left of the way from a to b."""
        found: Floats = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        return found

    apart = side(start, ends, other_start) * side(start, ends, other_end) < 0
    crossed: NDArray[np.bool_] = apart & (
        side(other_start, other_end, start) * side(other_start, other_end, ends) < 0
    )
    return crossed


def _sums(grid: Floats, rows: int, columns: int) -> Floats:
    """The sum over every box of so many squares, by its lower left corner."""
    total = np.pad(grid.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    found: Floats = (
        total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns] + total[:-rows, :-columns]
    )
    return found


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
