"""The iso-reward figure: what methods keep of one thing where they have reached the same level of another."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.core.records import ScorerColumn
from benchmark.core.words import number_of
from benchmark.leaderboard.equal_level import EqualLevel, SweepCurve
from benchmark.report.figures.style import (
    COLUMN_INCHES,
    INK,
    LABEL,
    MUTED,
    SMALLEST,
    footnote,
    legend_columns,
    shown,
    wrapped,
    writer_of,
)
from benchmark.report.figures.trade_off_labels import (
    handles_of_lines,
    lines_in_words,
    looks_of_lines,
)
from benchmark.report.palette import dark, looks_of
from benchmark.report.titles import column_title, titles_of
from benchmark.stats.sweeps import NO_OVERLAP, Contrast

_MARKER = 4.6
_TITLE = 7.5
"""Points, of the finding above the figure."""
_MIDDLE = 0.5
"""The share of the common range that the finding is about."""
_STAR = 9
_DODGE = 0.012
"""Of the axis, between the intervals of two methods at one level."""


def draw_iso_reward(found: EqualLevel) -> Figure:
    """Draws one curve a method, and below it the differences from the reference method at equal level.

    Above, the curve is the isotonic envelope up to a sweep's highest level; its points are filled, those past
    it hollow and not used, the star is where all sweeps begin; with several training seeds each point has its
    95 % intervals. The grey field is the range that all curves
    have reached, in which alone methods are compared. Below, differences of the outcome from the reference
    method at 25, 50 and 75 % of that range, with 95 % intervals; `no overlap` where there is no such range.

    Args:
        found: Curves and contrasts.

    Returns:
        The figure, in the settings that are in force.
    """
    compared = len(found.curves) > 1
    handles = _legend(found)
    columns = legend_columns([str(handle.get_label()) for handle in handles], COLUMN_INCHES)
    lines = -(-len(handles) // columns)
    figure = Figure(
        figsize=(COLUMN_INCHES, (1.12 if compared else 0.8) * COLUMN_INCHES + 0.13 * lines + 0.9),
        layout="constrained",
    )
    if compared:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 1))
        _draw_contrasts(below, found)
    else:
        above = below = figure.subplots()
    looks = looks_of(found.methods)
    for curve in found.curves:
        _draw_curve(above, curve, *looks[curve.method])
    if found.common is not None and compared:
        for axes in (above, below):
            axes.axvspan(*found.common, color="#f1f1f1", lw=0, zorder=-1)
    _draw_lines(above, found)
    above.set_ylabel(f"{_name(found.outcome)}  {_better(found.outcome)}".rstrip())
    below.set_xlabel(f"{_name(found.level)}  {_better(found.level)}".rstrip())
    if not found.level.higher_is_better and found.level.axis != "distance":
        above.invert_xaxis()
    # Bold letters are wider than those that the wrapping measures.
    title = wrapped(shown(_finding(found), 300), 0.83 * COLUMN_INCHES, _TITLE)
    legend = figure.legend(
        handles=handles, loc="outside upper left", ncols=columns, fontsize=LABEL, handlelength=2.2,
        columnspacing=1.2, borderaxespad=0.2, title=title,
        title_fontproperties={"size": _TITLE, "weight": "bold"}, alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(INK)
    text = footnote(_caption(found), found.signature, COLUMN_INCHES)
    figure.supxlabel(text, fontsize=SMALLEST, color=MUTED, x=0.02, ha="left")
    return figure


iso_reward = writer_of(draw_iso_reward)


def _finding(found: EqualLevel) -> str:
    """What is told apart half-way up the common range, each comparison by itself."""
    middle = [(c.name, c.interval) for c in found.contrasts if c.share == _MIDDLE and c.interval is not None]
    if not middle:
        return ""
    apart = [(name, i) for name, i in middle if i.lo > 0 or i.hi < 0]
    told = ", ".join(
        f"{name} ({_signed(i.value)} [{_signed(i.lo)}, {_signed(i.hi)}])" if len(middle) == 1 else name
        for name, i in apart or middle
    )
    verdict = "differs from" if len(apart) == 1 else "differ from" if apart else "cannot be told apart from"
    return (
        f"At equal {column_title(found.level)}, {told} {verdict} {found.reference} "
        f"in {column_title(found.outcome)}"
    )


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "\N{MINUS SIGN}")


def _draw_curve(axes: Axes, curve: SweepCurve, colour: str, marker: str) -> None:
    axes.plot(*zip(*curve.envelope, strict=True), color=colour, lw=1.3, zorder=2)
    path = [(p.level, p.outcome) for p in curve.points]
    # The thin line keeps the order of the points, of which the envelope pools some and leaves some out.
    axes.plot(*zip(*path, strict=True), color=colour, lw=0.6, ls=":", zorder=1)
    for point in curve.points:
        begins = point is curve.points[0] and not point.name.startswith(("beta ", "step "))
        if begins:
            axes.plot(
                point.level, point.outcome, marker="*", ms=_STAR, color=INK, mec="white", mew=0.5, zorder=5
            )
            continue
        axes.errorbar(
            point.level, point.outcome, xerr=point.level_half, yerr=point.outcome_half, fmt="none",
            ecolor=colour, elinewidth=0.6, alpha=0.5, zorder=1.2,
        )  # fmt: skip
        axes.plot(
            point.level, point.outcome, marker=marker, ms=_MARKER, color=colour if point.used else "white",
            mec=dark(colour), mew=0.7, ls="none", zorder=3,
        )  # fmt: skip


def _draw_lines(axes: Axes, found: EqualLevel) -> None:
    """The optimum under each divergence, behind the curves, as far as it is read off."""
    limits = axes.get_xlim(), axes.get_ylim()
    for line, (colour, dashes) in zip(found.lines, looks_of_lines(found.lines, found.methods), strict=True):
        path = [(p.x, p.y) for p in line.points]
        last = max(i for i, p in enumerate(line.points) if not p.hollow)
        axes.plot(
            *zip(*path[: last + 1], strict=True), color=colour, lw=0.9, dashes=dashes, alpha=0.7, zorder=1.5
        )
        axes.plot(*zip(*path[last:], strict=True), color=colour, lw=0.5, ls=":", zorder=1.4)
    if found.lines:
        axes.set(xlim=limits[0], ylim=limits[1])


def _draw_contrasts(axes: Axes, found: EqualLevel) -> None:
    axes.axhline(0, color=INK, lw=0.7, dashes=(4, 3), zorder=0)
    axes.set_ylabel(f"difference from\n{shown(found.reference, 26)}", fontsize=7)
    drawable = [c for c in found.contrasts if c.interval is not None and c.level is not None]
    if found.common is None or not drawable:
        axes.set_ylim(-1, 1)
        axes.set_yticks([0])
        axes.text(0.5, 0.72, NO_OVERLAP, transform=axes.transAxes, ha="center", va="center", color=INK)
        return
    low, high = found.common
    others = [curve.method for curve in found.curves if curve.method != found.reference]
    looks = looks_of(found.methods)
    for contrast in drawable:
        at = others.index(contrast.name) - (len(others) - 1) / 2
        _bar(axes, contrast, at * _DODGE * 4 * (high - low), *looks[contrast.name])
    axes.margins(y=0.16)
    axes.locator_params(axis="y", nbins=5)


def _bar(axes: Axes, contrast: Contrast, aside: float, colour: str, marker: str) -> None:
    interval, level = contrast.interval, contrast.level
    assert interval is not None, "only contrasts with a level are drawn"
    assert level is not None, "only contrasts with a level are drawn"
    ends = [[interval.value - interval.lo], [interval.hi - interval.value]]
    axes.errorbar(
        level + aside, interval.value, yerr=ends, fmt=marker, ms=_MARKER, color=colour, mec=dark(colour),
        mew=0.7, ecolor=dark(colour), elinewidth=0.9, capsize=1.5, zorder=3,
    )  # fmt: skip


def _legend(found: EqualLevel) -> list[Line2D]:
    handles = []
    looks = looks_of(found.methods)
    for curve in found.curves:
        colour, marker = looks[curve.method]
        handles.append(
            Line2D([], [], color=colour, lw=1.3, marker=marker, ms=_MARKER, mec=dark(colour), mew=0.7,
                   label=shown(curve.method, 36))
        )  # fmt: skip
    return [*handles, *handles_of_lines(found.lines, found.methods)]


def _caption(found: EqualLevel) -> str:
    what = "β" if found.along == "beta" else "steps"
    points = {tuple(point.name for point in curve.points) for curve in found.curves}
    order = f"from weak to strong {what}"
    if len(points) == 1:
        order = ", ".join(points.pop()).replace("beta ", "β ")
    parts = [f"Points: {order}; hollow: past the highest {shown(column_title(found.level), 30)}, not used."]
    if any(point.level_half for curve in found.curves for point in curve.points):
        parts.append(
            "Crosses: 95 % of the differences from where curves begin, over training seeds and prompts."
        )
    if len(found.curves) > 1 and found.common is None:
        parts.append("No overlap: there is no level that all curves have reached.")
    elif any(contrast.note == NO_OVERLAP for contrast in found.contrasts):
        parts.append("No overlap: more than 5 % of the resamples have no common range.")
    elif len(found.curves) > 1:
        parts.append("Grey: the common range. Below: differences at 25, 50 and 75 % of it, 95 % intervals.")
    seeds = number_of(found.n_seeds, "training seed")
    fewest = f"{found.n_prompts_least} to " if found.n_prompts_least < found.n_prompts else ""
    parts.append(f"{seeds}, means over {fewest}{number_of(found.n_prompts, 'prompt')}.")
    if found.lines:
        marks = [(point.level, point.outcome) for curve in found.curves for point in curve.points]
        parts.append(lines_in_words(found.lines, titles_of((found.level, found.outcome)), marks))
    notes = {c.note for c in found.contrasts if c.note not in ("", NO_OVERLAP)}
    return " ".join([*parts, *sorted(notes)])


def _name(column: ScorerColumn) -> str:
    return f"{column.axis}: {shown(column_title(column), 30)}"


def _better(column: ScorerColumn) -> str:
    return "" if column.axis == "distance" else "→" if column.higher_is_better else "(lower is better)"
