"""The figure: a panel a style, the share of pictures read as the style over content, along training."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.report.figures.style import (
    INK,
    LABEL,
    MUTED,
    PAGE_INCHES,
    SMALLEST,
    footnote,
    writer_of,
)
from benchmark.report.palette import dark, look
from tools.studies.styles.findings import METHODS
from tools.studies.styles.records import Findings, Point

SEEN = 0.6
"""Share of pictures from which on the style counts as seen."""
_CHANCE = 0.2
"""One of five styles."""
_MARKER = 4.2


def draw_style_against_content(found: Findings) -> Figure:
    """Draws one curve a method from the base on, its points marked with the steps of training.

    Thick: means over training seeds; thin: each seed. Up is more style, to the right more content; a method
    that aligns style better lies above and to the right.

    Args:
        found: The curves.

    Returns:
        The figure, in the settings that are in force.
    """
    styles = list(found.suites)
    figure = Figure(figsize=(PAGE_INCHES, 2.9), layout="constrained")
    panels = figure.subplots(1, len(styles), sharey=True, squeeze=False)[0]
    for style, axes in zip(styles, panels, strict=True):
        _draw_panel(axes, [point for point in found.points if point.style == style])
        axes.set_title(style.replace("_", " "), fontsize=8)
        axes.set_xlabel("content: oracle  →")
    panels[0].set(ylabel="pictures read as the style  →", ylim=(0, 1))
    figure.legend(
        handles=_legend(found), loc="outside upper left", ncols=len(METHODS) + 1, fontsize=LABEL,
        handlelength=2.2, columnspacing=1.2, borderaxespad=0.2,
    )  # fmt: skip
    seeds = f"{len(found.seeds)} training seed" + "s" * (len(found.seeds) > 1)
    words = (
        f"Numbers at points: steps of training. Thick: mean of {seeds}; thin: each. Dashed:"
        f" {100 * SEEN:.0f} %, from which on the style is seen; {100 * _CHANCE:.0f} %, one of five styles. "
        + "; ".join(dict.fromkeys(found.suites.values()))
        + "."
    )
    figure.supxlabel(footnote(words, "", PAGE_INCHES), fontsize=SMALLEST, color=MUTED, x=0.02, ha="left")
    return figure


style_against_content = writer_of(draw_style_against_content, dpi=200)


def _draw_panel(axes: Axes, points: Sequence[Point]) -> None:
    base = next(point for point in points if not point.method)
    for level in (SEEN, _CHANCE):
        axes.axhline(level, color=MUTED, lw=0.6, dashes=(4, 3), zorder=0)
    for index, method in enumerate(METHODS.values()):
        own = [point for point in points if point.method == method]
        if own:
            _draw_curve(axes, base, own, index)
    axes.plot(base.content, base.read, marker="*", ms=9, color=INK, mec="white", mew=0.5, zorder=5)


def _draw_curve(axes: Axes, base: Point, own: Sequence[Point], index: int) -> None:
    colour, marker = look(index)
    # The two of f_dpo are close, so that one has its steps on the other side.
    aside, across = ((-3, -8), "right") if own[0].method == "Diffusion-DPO" else ((3, 3), "left")
    start = (base.content, base.read)
    for seed in range(len(own[0].by_seed)):
        path = [start, *(point.by_seed[seed] for point in own)]
        axes.plot(*zip(*path, strict=True), color=colour, lw=0.5, alpha=0.5, zorder=1)
    path = [start, *((point.content, point.read) for point in own)]
    axes.plot(
        *zip(*path, strict=True), color=colour, lw=1.4, marker=marker, ms=_MARKER, mec=dark(colour), mew=0.7,
        markevery=slice(1, None), zorder=3,
    )  # fmt: skip
    for point in own:
        axes.annotate(
            str(point.step), (point.content, point.read), xytext=aside, textcoords="offset points",
            ha=across, fontsize=SMALLEST, color=dark(colour), zorder=4,
        )  # fmt: skip


def _legend(found: Findings) -> list[Line2D]:
    drawn = {point.method for point in found.points}
    handles = [Line2D([], [], color=INK, marker="*", ms=8, ls="none", label="base model")]
    for index, method in enumerate(METHODS.values()):
        colour, marker = look(index)
        if method in drawn:
            handles.append(
                Line2D([], [], color=colour, lw=1.4, marker=marker, ms=_MARKER, mec=dark(colour), mew=0.7,
                       label=method)
            )  # fmt: skip
    return handles
