"""Win-rate bars: how often each checkpoint beats the reference, scorer by scorer."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint
from benchmark.core.words import listed
from benchmark.leaderboard.names import display_names, method_name, method_order, seed_groups
from benchmark.leaderboard.win_rate_table import WinRate
from benchmark.report.figures.style import (
    COLUMN_INCHES,
    INK,
    LABEL,
    MUTED,
    PAGE_INCHES,
    SMALLEST,
    footnote,
    plain_ticks,
    shown,
    text_inches,
    wrapped,
    writer_of,
)
from benchmark.report.palette import dark, looks_of

_PANELS = 8
"""Scorers at most: more of them do not fit a page."""
_COLUMNS = 4
_EVEN = 0.5
_TITLE = 7.5
_LINE = 0.155
"""Inches, of a bar and the room about it."""


def draw_win_rate_bars(
    rates: Sequence[WinRate],
    checkpoints: Sequence[Checkpoint],
    *,
    signature: str = "",
) -> Figure:
    """Draws a panel a scorer and a bar a checkpoint, from one half to the share of pairs won.

    The thin line is the 95 % interval, clustered by prompt. The title says on which scorers all of them win,
    or lose, beyond it. Of more than eight scorers the first eight are drawn. All panels share one scale.

    Args:
        rates: Of every checkpoint but the reference.
        checkpoints: All of them, for their names.
        signature: Of the scorers' numbers.

    Returns:
        The figure, in the settings that are in force.

    Raises:
        UserError: If there is nothing to draw.
    """
    known = [rate for rate in rates if rate.share is not None]
    scorers = list(dict.fromkeys(rate.scorer for rate in known))
    if not scorers:
        raise UserError("no checkpoint has a pair to win against the reference")
    panels = scorers[:_PANELS]
    bars = {rate.checkpoint for rate in known}
    by_id = {c.id: c for c in checkpoints}
    # Training seeds of the same setting stand together.
    drawn = [by_id[id_] for group in seed_groups(checkpoints) for id_ in group.ids if id_ in bars]
    (reference,) = [c for c in checkpoints if c.id not in {rate.checkpoint for rate in rates}]
    width = COLUMN_INCHES if len(panels) <= 2 else PAGE_INCHES
    columns = min(len(panels), 2 if width < PAGE_INCHES else _COLUMNS)
    rows = -(-len(panels) // columns)
    note = footnote(_caption(reference.id, len(scorers)), signature, width)
    title = wrapped(_finding([r for r in known if r.scorer in panels], reference.id), 0.83 * width, _TITLE)
    height = rows * (_LINE * len(drawn) + 0.42) + 0.25 + 0.1 * (note.count("\n") + 1)
    height += 0.16 * (title.count("\n") + 1) * bool(title)
    called = display_names(checkpoints)
    names = [shown(called[c.id].replace("beta ", "β "), 38) for c in drawn]
    looks = looks_of(method_order(checkpoints, reference.id))
    side = (width - max(text_inches(name, LABEL) for name in names)) / columns - 0.15
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    places = list(grid.flat)
    for index, (place, scorer) in enumerate(zip(places, panels, strict=False)):
        own = [rate for rate in known if rate.scorer == scorer]
        _draw(place, own, drawn, looks)
        place.tick_params(axis="y", labelsize=LABEL, labelcolor=INK)
        place.set_title(wrapped(shown(own[0].title, 40), side, 7.5), fontsize=7.5, pad=3)
        if index + columns >= len(panels):
            place.set_xlabel("share won", fontsize=7)
            place.tick_params(labelbottom=True)
    for place in places[len(panels) :]:
        place.set_axis_off()
    places[0].set_yticks(range(len(drawn)), names)
    places[0].set_ylim(len(drawn) - 0.45, -0.55)
    places[0].set_xlim(*_limits(known))
    if title:
        figure.suptitle(title, fontsize=_TITLE, fontweight="bold", color=INK, x=0.01, ha="left")
    figure.supxlabel(note, fontsize=SMALLEST, color=MUTED, x=0.01, ha="left")
    return figure


win_rate_bars = writer_of(draw_win_rate_bars)


def _draw(
    axes: Axes,
    rates: Sequence[WinRate],
    drawn: Sequence[Checkpoint],
    looks: Mapping[str, tuple[str, str]],
) -> None:
    line = {c.id: i for i, c in enumerate(drawn)}
    for rate in rates:
        assert rate.share is not None, "only known shares are drawn"
        at = line[rate.checkpoint]
        colour, _ = looks[method_name(drawn[at])]
        axes.barh(at, rate.share - 0.5, left=0.5, height=0.68, color=colour, lw=0, zorder=2)
        axes.plot(rate.share, at, marker="|", ms=5, mew=1, color=dark(colour), zorder=4)
        if rate.lo is not None and rate.hi is not None:
            # White under dark: seen on the bar and beside it.
            axes.plot([rate.lo, rate.hi], [at, at], color="white", lw=2.2, solid_capstyle="butt", zorder=3)
            axes.plot([rate.lo, rate.hi], [at, at], color=INK, lw=0.9, zorder=3.5)
    axes.axvline(0.5, color=INK, lw=0.7, zorder=5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(plain_ticks())
    axes.tick_params(axis="x", labelsize=LABEL)


def _finding(rates: Sequence[WinRate], reference: str) -> str:
    """The scorers on which every checkpoint wins, and those on which every one loses; empty for neither."""
    of: dict[str, list[WinRate]] = {}
    for rate in rates:
        of.setdefault(shown(rate.title, 30), []).append(rate)
    won = [name for name, own in of.items() if all(r.lo is not None and r.lo > _EVEN for r in own)]
    lost = [name for name, own in of.items() if all(r.hi is not None and r.hi < _EVEN for r in own)]
    count = len({rate.checkpoint for rate in rates})
    s = "s" if count == 1 else ""
    parts = [f"{verb}{s} on {listed(names)}" for verb, names in (("win", won), ("lose", lost)) if names]
    who = f"All {count} checkpoints" if count > 1 else "The checkpoint"
    return f"{who} {' and '.join(parts)} against {shown(reference, 30)}" if parts else ""


def _limits(rates: Sequence[WinRate]) -> tuple[float, float]:
    """Room for one half and every interval."""
    ends = [0.45, 0.55, *(end for rate in rates for end in (rate.share, rate.lo, rate.hi) if end is not None)]
    room = 0.04 * (max(ends) - min(ends))
    return min(ends) - room, max(ends) + room


def _caption(reference: str, scorers: int) -> str:
    text = (
        f"Share of (prompt, k) pairs that a checkpoint wins against {shown(reference, 30)}, ties half; "
        "lines: 95 % intervals, clustered by prompt."
    )
    return text + f" The first {_PANELS} of {scorers} scorers." * (scorers > _PANELS)
