"""Training curves of one or several runs, from their metrics: a panel a quantity, a colour a run."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.report.curve_panels import (
    PANELS,
    REFERENCE,
    Floats,
    Panel,
    RunCurves,
    Series,
    running_mean,
)
from benchmark.report.figures.style import (
    COLUMN_INCHES,
    INK,
    MUTED,
    PAGE_INCHES,
    RULE,
    SMALLEST,
    legend_columns,
    plain_ticks,
    shown,
    writer_of,
)
from benchmark.report.palette import COLOURS, look

_Look = tuple[str, str | tuple[int, tuple[float, float]], str]
"""Colour, dashes and marker."""
_MARKS = 6
"""On a line of many steps, which tell several runs apart without colour."""
_COLUMNS = 3
_LOSERS = COLOURS[1]
_DASHES = (0, (3.2, 1.6))
_BANDS = 2
"""Runs up to which bands are drawn; more of them hide each other."""
_LAST_PART = 25
"""Smoothing unless told otherwise: a mean over this part of the steps."""


def draw_curves(
    runs: Sequence[RunCurves],
    *,
    metrics: Sequence[str] | None = None,
    smoothing: int | None = None,
) -> Figure:
    """Draws metrics over optimiser steps.

    A step's own values are faint, the mean over the last `smoothing` steps is the line. What is measured at
    checkpoints is a dot each and never smoothed. The held-out loss has its value at the reference as a
    level, and a cross where the run was marked `diverged`.

    Args:
        runs: At least one, with different names.
        metrics: Names of `PANELS` or keys of the metrics; by default all panels with something in them.
        smoothing: Steps over which the lines are means; 1 for none; by default a 25th of the steps.

    Returns:
        The figure, in the settings that are in force.

    Raises:
        UnknownNameError: For a metric that no run has.
        UserError: If there is nothing to draw.
    """
    panels = _chosen(runs, metrics)
    steps = max(len(run.lines) for run in runs)
    window = smoothing or max(1, steps // _LAST_PART)
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    width = COLUMN_INCHES if len(panels) == 1 else PAGE_INCHES
    tall = 0.72 * width / columns if len(panels) > 1 else 0.62 * width
    figure = Figure(figsize=(width, rows * tall + 0.35), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    places = list(grid.flat)
    for index, (place, panel) in enumerate(zip(places, panels, strict=False)):
        for number, run in enumerate(runs):
            looks = _looks(number, len(runs))
            _draw(place, panel, run, looks, window, bands=len(runs) <= _BANDS)
        _dress(place, panel, runs)
        if index + columns >= len(panels):
            place.set_xlabel("optimiser step")
            place.tick_params(labelbottom=True)
    for place in places[len(panels) :]:
        place.set_axis_off()
    figure.align_ylabels(grid)
    handles = _legend(runs, panels)
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=legend_columns(labels, width),
        fontsize=6.5, handlelength=1.8, columnspacing=1.4,
    )  # fmt: skip
    if window > 1 and any(series.smoothed for panel in panels for series in panel.series):
        note = f"lines: means over the last {window} steps; faint: single steps; dots: checkpoints"
        figure.supxlabel(note, fontsize=SMALLEST, color=MUTED)
    return figure


curves = writer_of(draw_curves)


def _chosen(runs: Sequence[RunCurves], metrics: Sequence[str] | None) -> list[Panel]:
    if not any(run.lines for run in runs):
        raise UserError("the runs have logged nothing yet")
    there = {key for run in runs for line in run.lines for key, value in line.items() if value is not None}
    drawable = {name: p for name, p in PANELS.items() if any(s.key in there for s in p.series)}
    if metrics is None:
        return list(drawable.values())
    keys = there - {"step", "diverged"}
    for name in metrics:
        if name not in drawable and name not in keys:
            # The hundred keys of quarters and quantiles are a lookup, not a list to read.
            known = keys if "/" in name else [*drawable, *(key for key in keys if "/" not in key)]
            raise UnknownNameError("metric of these runs", name, known)
    return [drawable.get(name) or _own_panel(name) for name in metrics]


def _own_panel(key: str) -> Panel:
    return Panel(key, (Series(key, smoothed=not key.startswith("heldout/")),))


def _looks(number: int, runs: int) -> tuple[_Look, _Look]:
    """Of a run's winners and losers: one run has two colours, several have one each."""
    colour, marker = look(number)
    if runs == 1:
        return (colour, "-", ""), (_LOSERS, _DASHES, "")
    return (colour, "-", marker), (colour, _DASHES, marker)


def _draw(
    axes: Axes, panel: Panel, run: RunCurves, looks: tuple[_Look, _Look], window: int, *, bands: bool
) -> None:
    for series in panel.series:
        colour, dashes, mark = looks[series.loser]
        x, y = run.values(series.key)
        if not x.size:
            continue
        over = window if series.smoothed else 1
        if bands and series.low and series.high:
            at, low, high = run.values(series.low, series.high)
            low, high = running_mean(low, over), running_mean(high, over)
            axes.fill_between(at, low, high, color=colour, alpha=0.13, lw=0, zorder=1)
        elif over > 1:
            axes.plot(x, y, color=colour, lw=0.5, alpha=0.28, zorder=1)
        # A single step is no line, and a checkpoint is a point that was measured.
        single = series.key.startswith("heldout/") or x.size == 1
        marker = mark or ("o" if single else "")
        every = 1 if single else max(1, x.size // _MARKS)
        mean = running_mean(y, over)
        axes.plot(x, mean, color=colour, ls=dashes, lw=1.1, marker=marker, ms=2.6, markevery=every, zorder=3)
        if series.key == REFERENCE:
            _mark_diverged(axes, run, x, y, colour)


def _mark_diverged(axes: Axes, run: RunCurves, x: Floats, y: Floats, colour: str) -> None:
    marked = np.isin(x, run.diverged_at())
    axes.plot(x[marked], y[marked], ls="none", marker="x", ms=6, mew=1.4, color=colour, zorder=4)


def _dress(axes: Axes, panel: Panel, runs: Sequence[RunCurves]) -> None:
    axes.set_ylabel(shown(panel.label), fontsize=7.5)
    axes.locator_params(axis="x", nbins=5, integer=True)
    if panel.logarithmic and any((run.values(panel.series[0].key)[1] > 0).any() for run in runs):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(plain_ticks())
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
        axes.yaxis.get_offset_text().set_fontsize(6.5)
    if panel.from_zero:
        axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], 0.02))
    if panel.level is not None:
        axes.axhline(panel.level, color=RULE, lw=0.8, zorder=0)
    if any(series.key == REFERENCE for series in panel.series):
        for level in {
            float(y[0]) for x, y in (run.values(REFERENCE) for run in runs) if x.size and x[0] == 0
        }:
            axes.axhline(level, color=INK, lw=0.7, dashes=(4, 3), zorder=0)


def _legend(runs: Sequence[RunCurves], panels: Sequence[Panel]) -> list[Line2D]:
    looks = [_looks(number, len(runs)) for number in range(len(runs))]
    handles = [
        Line2D([], [], color=winner[0], lw=1.4, marker=winner[2], ms=3, label=shown(run.name))
        for run, (winner, _) in zip(runs, looks, strict=True)
    ]
    if any(len(panel.series) > 1 for panel in panels):
        for label, (colour, dashes, _) in zip(("winners", "losers"), looks[0], strict=True):
            inked = colour if len(runs) == 1 else MUTED
            handles.append(Line2D([], [], color=inked, lw=1.1, ls=dashes, label=label))
    if any(series.key == REFERENCE for panel in panels for series in panel.series):
        handles.append(Line2D([], [], color=INK, lw=0.7, dashes=(4, 3), label="at the reference"))
        if any(run.diverged_at().size for run in runs):
            handles.append(
                Line2D([], [], color=MUTED, ls="none", marker="x", ms=6, mew=1.4, label="diverged")
            )
    return handles
