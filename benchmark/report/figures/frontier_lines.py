"""Frontiers that need no training, as thin labelled lines in the trade-off figure."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from benchmark.core.records import Frontier
from benchmark.report.figures.labels import Label
from benchmark.report.figures.style import INK, MUTED, SMALLEST, shown

_DASHES = ((1, 0), (5, 1.5), (5, 1.5, 1, 1.5), (1, 1.2))


def draw_frontiers(axes: Axes, frontiers: Sequence[Frontier]) -> None:
    """A line a frontier through its points, in the order of its parameter."""
    for i, frontier in enumerate(frontiers):
        axes.plot(
            [point.x for point in frontier.points], [point.y for point in frontier.points], color=MUTED,
            lw=0.7, dashes=_DASHES[i % len(_DASHES)], marker=".", ms=3.2, zorder=2.5,
        )  # fmt: skip


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
