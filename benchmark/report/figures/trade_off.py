"""The trade-off figure: preference against diversity."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.core.records import Frontier, Leaderboard, ScorerColumn
from benchmark.leaderboard import signature_about
from benchmark.report.figures.label_places import Label, Room
from benchmark.report.figures.style import (
    COLUMN_INCHES,
    FRONTIER_DASHES,
    INK,
    LABEL,
    MUTED,
    RULE,
    SMALLEST,
    footnote,
    legend_columns,
    shown,
    wrapped,
    writer_of,
)
from benchmark.report.figures.trade_off_labels import (
    FEW,
    MARGIN,
    frontier_labels,
    handles_of_lines,
    lines_in_words,
    looks_of_lines,
    named_points,
    namings,
)
from benchmark.report.figures.trade_off_points import Point, TradeOff, trade_off_of
from benchmark.report.finding import finding
from benchmark.report.palette import dark, looks_of
from benchmark.report.titles import column_title, titles_of

_MARKER, _STAR = 4.6, 9.0
"""Sizes in points."""
_PALE = 0.3
"""Opacity of what is beaten."""
_TITLE = 7.5
"""Points, of the finding above the figure."""


def draw_trade_off(
    leaderboard: Leaderboard,
    preference: str | None = None,
    diversity: str | None = None,
) -> Figure:
    """Draws preference against diversity, the reference as a star at the cross-hair.

    A point stands at the means of the table, each over the prompts that it has. Its ellipse is the joint 95 %
    region of these two less the reference's: prompts that are hard for all do not widen it. A pale point is
    outside the 95 % confidence set of the Pareto front; the dashed steps are the front of the means alone.
    Hollow points are past the highest preference of their sweep. Lines in the colour of a
    method are the optimum under its divergence, dotted where too few images of the pool weigh to be read off:
    that end is cut off at the edge. Two scorers without a
    common plane, such as one of whole sets, have bars of the two paired differences instead, laid at the
    reference's means, and no front. Both axes point to the better side. The title is the finding: who gained
    most, and what it lost.

    Labels are whole names if few methods have one checkpoint each, else what tells the checkpoints of a
    method apart, and numbers where that does not fit; training seeds of the same have one label.

    Args:
        leaderboard: What to draw.
        preference: Scorer of the vertical axis; by default the first primary one, else the first.
        diversity: Scorer of the horizontal axis, likewise.

    Returns:
        The figure, in the settings that are in force.

    Raises:
        UnknownNameError: For a scorer that the leaderboard lacks.
        UserError: If the leaderboard has no scorer for an axis, or nothing to draw.
    """
    plot = trade_off_of(leaderboard, preference, diversity)
    named = named_points(plot.points)
    for naming in namings(named):
        at_points, entries = naming(named)
        figure, axes = _figure(leaderboard, plot, entries, COLUMN_INCHES)
        if _label(axes, plot, named, at_points):
            break
    return figure


trade_off = writer_of(draw_trade_off)


def _figure(
    leaderboard: Leaderboard, plot: TradeOff, entries: dict[str, str], width: float
) -> tuple[Figure, Axes]:
    """The figure without the labels at its points, laid out for good."""
    looks = looks_of(plot.methods)
    handles = [
        _handle(looks[method], wrapped(entry, width - 0.4, LABEL, indent="  "))
        for method, entry in entries.items()
    ]
    handles += handles_of_lines(plot.lines, plot.methods)
    shown_scorers = (plot.across.name, plot.upward.name)
    signature = signature_about(leaderboard.signature, leaderboard.columns, shown_scorers)
    note = footnote(_caption(leaderboard, plot), signature, width)
    columns = legend_columns([str(h.get_label()) for h in handles], width)
    # The axes keep their size, whatever stands above and below them.
    lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles) / columns
    told = finding(leaderboard, plot.upward, [plot.across]).removesuffix(".").replace("beta ", "β ")
    # Bold letters are wider than those that the wrapping measures.
    title = wrapped(shown(told, 300), 0.83 * width, _TITLE)
    height = 0.85 * width + 0.125 * lines + 0.14 * (title.count("\n") + 1) + 0.1 * (note.count("\n") + 1)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, plot)
    axes.set_xlabel(_axis_label(plot.across) + "  →")
    axes.set_ylabel(_axis_label(plot.upward) + "  →")
    if handles or title:
        legend = figure.legend(
            handles=handles, loc="outside upper left", ncols=columns, fontsize=LABEL, handletextpad=0.4,
            handlelength=2.0 if plot.lines else 1.0, columnspacing=1.0, borderaxespad=0.2, labelspacing=0.3,
            title=title, title_fontproperties={"size": _TITLE, "weight": "bold"}, alignment="left",
        )  # fmt: skip
        legend.get_title().set_color(INK)
    figure.supxlabel(note, fontsize=SMALLEST, color=MUTED, x=0.02, ha="left")
    engine = figure.get_layout_engine()
    assert engine is not None, "the figure was made with one"
    engine.execute(figure)
    # Labels are placed in pixels: nothing may move once they are there.
    figure.set_layout_engine("none")
    _draw_front(axes, _front_steps(axes, plot))
    return figure, axes


def _handle(looks: tuple[str, str], label: str) -> Line2D:
    colour, marker = looks
    return Line2D(
        [], [], color=colour, marker=marker, ms=_MARKER, mec=dark(colour), mew=0.7, ls="none", label=label
    )


def _draw(axes: Axes, plot: TradeOff) -> None:
    first, *others = plot.points
    if plot.has_reference:
        axes.axvline(first.x, color=RULE, lw=0.5, zorder=0)
        axes.axhline(first.y, color=RULE, lw=0.5, zorder=0)
    _draw_frontiers(axes, plot.sampled)
    _draw_lines(axes, plot.lines, plot.methods)
    looks = looks_of(plot.methods)
    for point in others:
        _draw_point(axes, point, *looks[point.method], few=len(others) < FEW)
    axes.plot(
        first.x, first.y, marker="*", ms=_STAR, color=INK, mec="white", mew=0.5, ls="none", zorder=5,
        alpha=_PALE if first.beaten else 1,
    )  # fmt: skip
    axes.margins(MARGIN)
    _draw_hollow(axes, plot.lines, plot.methods)
    axes.locator_params(nbins=6)
    if not plot.across.higher_is_better:
        axes.invert_xaxis()
    if not plot.upward.higher_is_better:
        axes.invert_yaxis()


def _draw_frontiers(axes: Axes, frontiers: Sequence[Frontier]) -> None:
    """A line a frontier through its points, in the order of its parameter."""
    for i, frontier in enumerate(frontiers):
        axes.plot(
            [point.x for point in frontier.points], [point.y for point in frontier.points], color=MUTED,
            lw=0.7, dashes=FRONTIER_DASHES[i % len(FRONTIER_DASHES)], marker=".", ms=3.2, zorder=2.5,
        )  # fmt: skip


def _solid(line: Frontier) -> list[tuple[float, float]]:
    """As far as it is read off."""
    return [(p.x, p.y) for p in line.points if not p.hollow]


def _draw_lines(axes: Axes, lines: Sequence[Frontier], methods: Sequence[str]) -> None:
    """The optimum under each divergence, as far as it is read off."""
    for line, (colour, dashes) in zip(lines, looks_of_lines(lines, methods), strict=True):
        axes.plot(
            *zip(*_solid(line), strict=True), color=colour, lw=1.0, dashes=dashes, alpha=0.8, zorder=2.4
        )


def _draw_hollow(axes: Axes, lines: Sequence[Frontier], methods: Sequence[str]) -> None:
    """The rest of each, where it lies within what the other marks need."""
    limits = axes.get_xlim(), axes.get_ylim()
    for line, (colour, _) in zip(lines, looks_of_lines(lines, methods), strict=True):
        last = max(i for i, p in enumerate(line.points) if not p.hollow)
        path = [(p.x, p.y) for p in line.points[last:]]
        axes.plot(
            *zip(*path, strict=True), color=colour, lw=0.5, ls=":", marker="o", ms=2.2, mfc="white", mew=0.5,
            markevery=slice(1, None), zorder=2.3,
        )  # fmt: skip
    axes.set(xlim=limits[0], ylim=limits[1])


def _draw_point(axes: Axes, point: Point, colour: str, marker: str, *, few: bool) -> None:
    ink = _PALE if point.beaten else 1.0
    if point.outline is not None:
        axes.fill(*point.outline.T, facecolor=colour, alpha=0.1 if few else 0.04, lw=0, zorder=1)
        axes.plot(
            *point.outline.T, color=colour, lw=0.7 if few else 0.5, alpha=ink if few else 0.5 * ink, zorder=2
        )
    if point.bars is not None:
        (left, right), (low, high) = point.bars
        axes.plot([left, right], [point.y, point.y], color=colour, lw=0.9, zorder=2)
        axes.plot([point.x, point.x], [low, high], color=colour, lw=0.9, zorder=2)
    axes.plot(
        point.x, point.y, marker=marker, ms=_MARKER, color=colour if point.used else "white",
        mec=dark(colour), mew=0.7, ls="none", zorder=4, alpha=ink,
    )  # fmt: skip


def _draw_front(axes: Axes, steps: Sequence[tuple[float, float]]) -> None:
    limits = axes.get_xlim(), axes.get_ylim()
    if steps:
        axes.plot(*zip(*steps, strict=True), color=MUTED, lw=0.8, dashes=(2, 1.5), zorder=0.5)
    axes.set(xlim=limits[0], ylim=limits[1])


def _front_steps(axes: Axes, plot: TradeOff) -> list[tuple[float, float]]:
    """Steps through the means that none dominates, on to the edges of the figure."""
    if not plot.front:
        return []
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    steps = [(left, plot.front[0][1])]
    for (x, y), (_, below) in zip(plot.front, [*plot.front[1:], (0.0, bottom)], strict=True):
        steps += [(x, y), (x, below)]
    return steps


def _label(axes: Axes, plot: TradeOff, named: Sequence[Point], texts: Sequence[str]) -> bool:
    """Writes the labels; whether all of them found a free place."""
    labels = []
    looks = looks_of(plot.methods)
    for i, (point, text) in enumerate(zip(named, texts, strict=True)):
        colour = INK if i == 0 else dark(looks[point.method][0])
        if text:
            labels.append(Label(point.x, point.y, text, colour))
    names, scale = frontier_labels(plot.sampled)
    room = Room(axes)
    room.keep_free([(p.x, p.y) for p in plot.points], 2 * _MARKER)
    room.keep_free([(p.x, p.y) for f in plot.sampled for p in f.points], 3.5)
    for path in (_front_steps(axes, plot), *(_solid(f) for f in plot.frontiers)):
        room.avoid_line(path)
    if plot.has_reference:
        first, (left, right), (low, high) = plot.points[0], axes.get_xlim(), axes.get_ylim()
        room.avoid_line([(first.x, low), (first.x, high)])
        room.avoid_line([(left, first.y), (right, first.y)])
    for point in plot.points:
        if point.outline is not None:
            room.avoid_region(point.outline)
        if point.bars is not None:
            (left, right), (low, high) = point.bars
            room.avoid_line([(left, point.y), (right, point.y)])
            room.avoid_line([(point.x, low), (point.x, high)])
    return room.write([*labels, *names, *scale])


def _axis_label(column: ScorerColumn) -> str:
    return f"{column.axis}: {shown(column_title(column), 30)}"


def _caption(leaderboard: Leaderboard, plot: TradeOff) -> str:
    """The meaning of the marks, those that there are."""
    reference = shown(leaderboard.reference, 30)
    sentences = []
    if any(point.outline is not None for point in plot.points):
        sentences.append(f"Ellipses: joint 95 % regions of the differences from {reference}.")
    if any(point.bars is not None for point in plot.points):
        sentences.append(f"Bars: 95 % intervals of paired differences from {reference}, laid at its means.")
    sentences.append(_sizes(plot))
    if plot.front:
        sentences.append(f"{_front_words(plot)} Dashes: front of the means.")
    if plot.lines:
        sentences.append(lines_in_words(plot.lines, titles_of((plot.across, plot.upward)), _marks(plot)))
    if len({point.name for point in plot.points}) < len(plot.points):
        sentences.append("One label a setting: its points are training seeds.")
    if not all(point.used for point in plot.points):
        sentences.append(f"Hollow: past the highest {shown(column_title(plot.upward), 30)} of its sweep.")
    return " ".join(sentence for sentence in sentences if sentence)


def _marks(plot: TradeOff) -> list[tuple[float, float]]:
    """What the axes must hold besides lines."""
    places = [(p.x, p.y) for p in plot.points] + [(p.x, p.y) for f in plot.sampled for p in f.points]
    for point in plot.points:
        places += [] if point.outline is None else [(float(x), float(y)) for x, y in point.outline]
        if point.bars is not None:
            (left, right), (low, high) = point.bars
            places += [(left, point.y), (right, point.y), (point.x, low), (point.x, high)]
    return places


def _front_words(plot: TradeOff) -> str:
    if any(point.beaten for point in plot.points):
        return "Pale: off the Pareto front (outside its 95 % confidence set)."
    return "All may be on the Pareto front (95 % confidence set)."


def _sizes(plot: TradeOff) -> str:
    """How many prompts are behind the means of each axis, the fewest and the most."""
    parts = []
    for column, sizes in zip(
        (plot.across, plot.upward), zip(*(p.n for p in plot.points), strict=True), strict=True
    ):
        known = sorted(n for n in sizes if n is not None)
        if known:
            span = f"{known[0]}" if known[0] == known[-1] else f"{known[0]} to {known[-1]}"
            parts.append(f"{shown(column_title(column), 30)} {span}")
    return f"n, in prompts: {', '.join(parts)}." if parts else ""
