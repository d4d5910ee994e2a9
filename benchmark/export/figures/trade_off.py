"""The trade-off figure: preference against diversity."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Axis, Leaderboard, LeaderboardCell, ScorerColumn
from benchmark.export.figures.labels import Label, place_labels
from benchmark.export.figures.style import (
    COLOURS,
    COLUMN_INCHES,
    INK,
    MARKERS,
    MUTED,
    RULE,
    dark,
    figure_style,
    save,
)
from benchmark.export.names import display_names, method_name

_LABELLED = 8
_MARKER_PIXELS = 9.0


@dataclass(frozen=True)
class _Point:
    """A checkpoint in the plane; x is diversity, y is preference, each with its interval's ends."""

    name: str
    method: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]


def trade_off(
    leaderboard: Leaderboard,
    path: Path,
    *,
    preference: str | None = None,
    diversity: str | None = None,
    width: float = COLUMN_INCHES,
) -> Path:
    """Writes the figure of :func:`draw_trade_off`.

    Args:
        leaderboard: What to draw.
        path: Where to; ``.png``, ``.pdf`` or ``.svg``.
        preference: Scorer of the vertical axis; by default the first primary one, else the first.
        diversity: Scorer of the horizontal axis, likewise.
        width: Inches; the default is one column of a two-column paper.

    Returns:
        The path.

    Raises:
        UnknownNameError: For a scorer that the leaderboard lacks.
        UserError: If the leaderboard has no scorer for an axis, or nothing to draw.
    """
    with figure_style():
        return save(draw_trade_off(leaderboard, preference, diversity, width), path)


def draw_trade_off(
    leaderboard: Leaderboard,
    preference: str | None = None,
    diversity: str | None = None,
    width: float = COLUMN_INCHES,
) -> Figure:
    """Draws preference against diversity with 95 % intervals, the reference at the cross-hair.

    A point stands at the reference's mean plus the paired difference, and the bars are the
    intervals of the paired differences: prompts that are hard for all do not widen them. Both axes
    point to the better side, whatever the scorers' direction.

    Args:
        leaderboard: As of :func:`trade_off`, and so the others.
        preference: Of the vertical axis.
        diversity: Of the horizontal axis.
        width: Inches.

    Returns:
        The figure, in the settings that are in force.
    """
    across = _scorer(leaderboard, "diversity", diversity)
    upward = _scorer(leaderboard, "preference", preference)
    points = _points(leaderboard, across, upward)
    figure = Figure(figsize=(width, 0.86 * width), layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, points)
    axes.set_xlabel(_axis_label(across) + "  →")
    axes.set_ylabel(_axis_label(upward) + "  →")
    if not across.higher_is_better:
        axes.invert_xaxis()
    if not upward.higher_is_better:
        axes.invert_yaxis()
    figure.supxlabel(_footnote(leaderboard, across, upward, width), fontsize=4.6, color=MUTED)
    engine = figure.get_layout_engine()
    assert engine is not None, "the figure was made with one"
    engine.execute(figure)
    if len(points) <= _LABELLED:
        _label(axes, points)
    else:
        axes.legend(fontsize=6.5, loc="best", handletextpad=0.3)
    return figure


def _scorer(leaderboard: Leaderboard, axis: Axis, name: str | None) -> ScorerColumn:
    by_name = {column.name: column for column in leaderboard.columns}
    if name is not None:
        if name not in by_name:
            raise UnknownNameError("scorer of this leaderboard", name, by_name)
        if by_name[name].axis == "texture":
            # Noise maximises it: on this plot it would crown a destroyed model.
            raise UserError(
                f"{name} is of the texture axis, which has no better or worse", do="name another scorer"
            )
        return by_name[name]
    candidates = [column for column in leaderboard.columns if column.axis == axis]
    if not candidates:
        raise UserError(
            f"this leaderboard has no scorer of the {axis} axis",
            allowed=", ".join(by_name),
            do=f"name one, or evaluate with a {axis} scorer",
        )
    return next((column for column in candidates if column.primary), candidates[0])


def _points(leaderboard: Leaderboard, across: ScorerColumn, upward: ScorerColumn) -> list[_Point]:
    """The reference first, then the checkpoints that have both numbers."""
    names = display_names([row.checkpoint for row in leaderboard.rows])
    positions = [column.name for column in leaderboard.columns]
    x_at, y_at = positions.index(across.name), positions.index(upward.name)
    rows = sorted(leaderboard.rows, key=lambda row: row.checkpoint.id != leaderboard.reference)
    reference = rows[0] if rows and rows[0].checkpoint.id == leaderboard.reference else None
    points = []
    for row in rows:
        x = _place(row.cells[x_at], reference.cells[x_at] if reference else None)
        y = _place(row.cells[y_at], reference.cells[y_at] if reference else None)
        if x and y:
            points.append(_Point(names[row.checkpoint.id], method_name(row.checkpoint), x, y))
    if not points:
        raise UserError(f"no checkpoint has both {across.name} and {upward.name}")
    return points


def _place(cell: LeaderboardCell, reference: LeaderboardCell | None) -> tuple[float, float, float] | None:
    """Position and interval: by paired difference where there is one, else the mean alone."""
    if reference and reference.mean is not None and cell.difference is not None:
        middle = reference.mean + cell.difference
        low, high = cell.difference_lo, cell.difference_hi
        if low is None or high is None:
            return middle, middle, middle
        return middle, reference.mean + low, reference.mean + high
    return None if cell.mean is None else (cell.mean, cell.mean, cell.mean)


def _draw(axes: Axes, points: Sequence[_Point]) -> None:
    reference, *others = points
    axes.axvline(reference.x[0], color=RULE, lw=0.7, dashes=(4, 3), zorder=0)
    axes.axhline(reference.y[0], color=RULE, lw=0.7, dashes=(4, 3), zorder=0)
    methods = list(dict.fromkeys(point.method for point in others))
    drawn: set[str] = set()
    for point in others:
        index = methods.index(point.method)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        (x, x_low, x_high), (y, y_low, y_high) = point.x, point.y
        axes.errorbar(
            x, y, xerr=[[x - x_low], [x_high - x]], yerr=[[y - y_low], [y_high - y]],
            fmt=marker, color=colour, ms=5.2, mec="white", mew=0.6, elinewidth=0.9, capsize=0,
            label=None if point.method in drawn else point.method,
        )  # fmt: skip
        drawn.add(point.method)
    axes.plot(
        reference.x[0], reference.y[0], marker="*", ms=9, color=INK, mec="white", mew=0.5, ls="none",
        zorder=5, label=reference.name,
    )  # fmt: skip
    axes.margins(0.14)
    axes.locator_params(nbins=6)


def _label(axes: Axes, points: Sequence[_Point]) -> None:
    methods = list(dict.fromkeys(point.method for point in points[1:]))
    labels = [Label(points[0].x[0], points[0].y[0], points[0].name, INK)]
    for point in points[1:]:
        colour = COLOURS[methods.index(point.method) % len(COLOURS)]
        labels.append(Label(point.x[0], point.y[0], point.name, dark(colour)))
    obstacles = [box for point in points for box in _boxes(axes, point)] + _cross_hair(axes, points[0])
    place_labels(axes, labels, obstacles)


def _boxes(axes: Axes, point: _Point) -> list[Bbox]:
    """The marker and the two bars, in pixels, with some air around the bars."""
    (x, x_low, x_high), (y, y_low, y_high) = point.x, point.y
    to_pixels = axes.transData.transform
    (left, middle), (right, _) = to_pixels([(x_low, y), (x_high, y)])
    (centre, bottom), (_, top) = to_pixels([(x, y_low), (x, y_high)])
    half = _MARKER_PIXELS / 2
    return [
        Bbox([[centre - half, middle - half], [centre + half, middle + half]]),
        Bbox([[min(left, right), middle - 4], [max(left, right), middle + 4]]),
        Bbox([[centre - 4, min(bottom, top)], [centre + 4, max(bottom, top)]]),
    ]


def _cross_hair(axes: Axes, reference: _Point) -> list[Bbox]:
    x, y = axes.transData.transform((reference.x[0], reference.y[0]))
    frame = axes.bbox
    return [Bbox([[x - 1, frame.y0], [x + 1, frame.y1]]), Bbox([[frame.x0, y - 1], [frame.x1, y + 1]])]


def _axis_label(column: ScorerColumn) -> str:
    return f"{column.axis}: {column.name}"


def _footnote(leaderboard: Leaderboard, across: ScorerColumn, upward: ScorerColumn, width: float) -> str:
    """What the bars are, and the signature as far as it concerns the two scorers."""
    others = {column.name for column in leaderboard.columns} - {across.name, upward.name}
    parts = [p for p in leaderboard.signature.split("|") if p.partition(":")[0] not in others]
    text = f"Bars: 95 % intervals of paired differences from {leaderboard.reference}. " + " | ".join(parts)
    return "\n".join(textwrap.wrap(text, int(width * 30)))
