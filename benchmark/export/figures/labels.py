"""Labels beside their points, where they cover nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

_GAP_POINTS = 5.0
# Offsets in units of the gap, best first, with the alignment of the text there.
_PLACES = (
    (1, 1, "left", "bottom"), (-1, 1, "right", "bottom"), (1, -1, "left", "top"), (-1, -1, "right", "top"),
    (1.2, 0, "left", "center"), (-1.2, 0, "right", "center"), (0, 1.4, "center", "bottom"),
    (0, -1.4, "center", "top"), (3, 2.5, "left", "bottom"), (-3, 2.5, "right", "bottom"),
    (3, -2.5, "left", "top"), (-3, -2.5, "right", "top"),
)  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A text that belongs to a point.

    Attributes:
        x: Where the point is, in data units.
        y: Where the point is, in data units.
        text: What to write.
        colour: Its colour.
    """

    x: float
    y: float
    text: str
    colour: str


def place_labels(axes: Axes, labels: Sequence[Label], obstacles: Sequence[Bbox]) -> None:
    """Writes each label at the place around its point that overlaps least.

    Args:
        axes: Where to; its limits must be final.
        labels: What to write, in order of importance.
        obstacles: Boxes in pixels that should stay free, such as markers and error bars.
    """
    figure = axes.figure
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[arg-type,no-untyped-call]
    taken = list(obstacles)
    inside = axes.get_window_extent(renderer)
    for label in labels:
        candidates = []
        for rank, place in enumerate(_PLACES):
            note = _annotation(axes, label, place)
            box = note.get_window_extent(renderer)
            note.remove()
            outside = box.width * box.height - _overlap(box, inside)
            covered = sum(_overlap(box, other) for other in taken)
            candidates.append((covered + 3 * outside, rank, place))
        best = min(candidates)[2]
        taken.append(_annotation(axes, label, best).get_window_extent(renderer))


def _annotation(axes: Axes, label: Label, place: tuple[float, float, str, str]) -> Annotation:
    dx, dy, horizontal, vertical = place
    far = max(abs(dx), abs(dy)) > 2
    return axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=(dx * _GAP_POINTS, dy * _GAP_POINTS),
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        color=label.colour,
        fontsize=7,
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "lw": 0.4, "color": label.colour, "shrinkB": 3} if far else None,
    )


def _overlap(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return both.width * both.height if both else 0.0
