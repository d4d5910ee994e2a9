"""The gradient-field figure: where the loss of one pair pushes its log-ratios, under several divergences."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from numpy.typing import NDArray

from benchmark.core.errors import UserError
from benchmark.core.words import number_of
from benchmark.report.figures.style import (
    COLUMN_INCHES,
    INK,
    MUTED,
    PAGE_INCHES,
    SMALLEST,
    footnote,
    plain_ticks,
    shown,
    wrapped,
    writer_of,
)

Floats = NDArray[np.floating]

_COLUMNS = 3
_DECADES = 2
"""Of the colour scale on either side of the reference: beyond a knee gradients are 20,000 times larger."""
_CLOUD = "#D55E00"
# Without its yellow end, which nobody sees on white.
_COLOURS = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.93, 0.0, 256)), "fbench_field")
_LABELS = {
    "log-ratio": ("log-ratio of the winner $s_w$ [nats]", "log-ratio of the loser $s_l$ [nats]"),
    "ratio": ("density ratio of the winner $X_1$", "density ratio of the loser $X_2$"),
}
_REFERENCE = {"log-ratio": (0.0, 0.0), "ratio": (1.0, 1.0)}
_KEY = "arrows: steepest descent of the loss; dashed: equal margin; star: the reference"


@dataclass(frozen=True, eq=False)
class GradientField:
    """The gradient of one pair's loss on a grid, in the plane of winner and loser.

    Attributes:
        title: What stands above it, such as the divergence.
        winner: Coordinates of the grid along the horizontal axis, (m,).
        loser: Coordinates along the vertical axis, (m,).
        d_winner: The loss's derivative along the horizontal axis, (m, m), a row for each `loser`.
        d_loser: Along the vertical axis, likewise.
    """

    title: str
    winner: Floats
    loser: Floats
    d_winner: Floats
    d_loser: Floats

    @property
    def magnitude(self) -> Floats:
        """The gradient's norm, (m, m)."""
        return np.hypot(self.d_winner, self.d_loser)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Pairs of a run in the same plane.

    Attributes:
        label: Such as "runs/js, step 100".
        winner: One number a pair.
        loser: Likewise.
    """

    label: str
    winner: Floats
    loser: Floats


def draw_gradient_field(
    fields: Sequence[GradientField],
    *,
    axes: str = "log-ratio",
    cloud: Cloud | None = None,
    note: str = "",
) -> Figure:
    """Draws arrows in the direction of steepest descent, coloured by the gradient's norm.

    The dashed line is that of equal margin, h(s_w) = h(s_l): below it a pair is ranked as it was labelled.
    The star is the reference, where training starts. One logarithmic colour scale serves all fields, two
    decades at most on either side of the gradient at the reference.

    Args:
        fields: What to draw, side by side on one scale.
        axes: What the coordinates are: ``log-ratio`` or ``ratio``.
        cloud: A run's pairs, drawn on top of every field.
        note: What the reader must know beside it, such as beta.

    Returns:
        The figure, in the settings that are in force.

    Raises:
        UserError: If there is nothing to draw.
    """
    if not fields:
        raise UserError("a gradient field needs at least one divergence")
    columns = min(len(fields), _COLUMNS)
    rows = -(-len(fields) // columns)
    width = COLUMN_INCHES if len(fields) == 1 else PAGE_INCHES
    side = (width - 1.1 - 0.25 * (columns - 1)) / columns
    figure = Figure(figsize=(width, rows * (side + 0.3) + 0.5), layout="compressed")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    norm, ends = _scale(fields, _REFERENCE[axes])
    across, upward = _LABELS[axes]
    places = list(grid.flat)
    for index, (place, field) in enumerate(zip(places, fields, strict=False)):
        arrows = _draw(place, field, norm, cloud, side)
        x, y = _REFERENCE[axes]
        place.plot(x, y, marker="*", ms=7, color=INK, mec="white", mew=0.5, ls="none", zorder=4)
        if index % columns == 0:
            place.set_ylabel(upward, parse_math=True)
        if index + columns >= len(fields):
            place.set_xlabel(across, parse_math=True)
            place.tick_params(labelbottom=True)
    for place in places[len(fields) :]:
        place.set_axis_off()
    bar = figure.colorbar(arrows, ax=grid, shrink=0.9, aspect=30 * rows, extend=ends)
    bar.set_label("‖∇L‖ of one pair", fontsize=7)
    bar.formatter = plain_ticks()
    text = "; ".join(part for part in (note, _KEY, _dots(fields[0], cloud)) if part)
    figure.supxlabel(footnote(text, "", width), fontsize=SMALLEST, color=MUTED)
    return figure


gradient_field = writer_of(draw_gradient_field)


def _scale(fields: Sequence[GradientField], reference: tuple[float, float]) -> tuple[Normalize, str]:
    """The colours' logarithmic scale about the gradient at the reference, and which of its ends are open."""
    found = np.concatenate([field.magnitude.ravel() for field in fields])
    found = found[np.isfinite(found) & (found > 0)]
    if not found.size:
        raise UserError("the gradient is nowhere finite and above 0", do="choose a smaller --limit or beta")
    starts = [_at(field, reference) for field in fields]
    start = float(np.median([one for one in starts if np.isfinite(one) and one > 0] or found))
    low, high = max(found.min(), start / 10**_DECADES), min(found.max(), start * 10**_DECADES)
    ends = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
    cut = bool((found < low).any()), bool((found > high).any())
    return LogNorm(low, high if high > low else 10 * low, clip=False), ends[cut]


def _at(field: GradientField, place: tuple[float, float]) -> float:
    column, row = (np.abs(at - x).argmin() for at, x in zip((field.winner, field.loser), place, strict=True))
    return float(field.magnitude[row, column])


def _draw(axes: Axes, field: GradientField, norm: Normalize, cloud: Cloud | None, side: float) -> Quiver:
    magnitude = field.magnitude
    size = np.where(magnitude > 0, magnitude, 1)
    step = float(field.winner[1] - field.winner[0])
    axes.plot(
        [field.winner[0], field.winner[-1]], [field.winner[0], field.winner[-1]],
        color=MUTED, lw=0.8, dashes=(4, 3), zorder=1,
    )  # fmt: skip
    arrows = axes.quiver(
        field.winner, field.loser, -field.d_winner / size, -field.d_loser / size, magnitude,
        cmap=_COLOURS, norm=norm, angles="xy", scale_units="xy", scale=1 / (0.82 * step), pivot="mid",
        width=0.0085, headwidth=3.4, headlength=3.6, headaxislength=3.2, zorder=2,
    )  # fmt: skip
    if cloud is not None:
        axes.plot(
            cloud.winner, cloud.loser, ls="none", marker="o", ms=2.3, mfc=_CLOUD, mec="white", mew=0.25,
            alpha=0.75, zorder=3, label=cloud.label,
        )  # fmt: skip
    axes.set_title(wrapped(shown(field.title, 90), side, 7.5), fontsize=7.5, color=INK, pad=4)
    axes.set_xlim(field.winner[0] - step / 2, field.winner[-1] + step / 2)
    axes.set_ylim(field.loser[0] - step / 2, field.loser[-1] + step / 2)
    axes.set_aspect("equal")
    axes.locator_params(nbins=5)
    return arrows


def _dots(field: GradientField, cloud: Cloud | None) -> str:
    if cloud is None:
        return ""
    step = (field.winner[1] - field.winner[0]) / 2
    low, high = field.winner[0] - step, field.winner[-1] + step
    inside = (cloud.winner >= low) & (cloud.winner <= high) & (cloud.loser >= low) & (cloud.loser <= high)
    hidden = int((~inside).sum())
    dots = f"dots: {number_of(inside.size, 'held-out draw')} of {shown(cloud.label)}"
    return f"{dots}, {hidden} of them outside" if hidden else dots
