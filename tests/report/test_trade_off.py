"""Laws of the trade-off, iso-reward and win-rate figures: what is drawn is what the records say."""

import importlib.util
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint
from benchmark.leaderboard.equal_level import contrast_lines, equal_level
from benchmark.leaderboard.win_rate_table import win_rates_of
from benchmark.report.figures.iso_reward import draw_iso_reward
from benchmark.report.figures.style import (
    figure_style,
)
from benchmark.report.figures.trade_off import draw_trade_off
from benchmark.report.figures.trade_off_labels import lines_in_words
from benchmark.report.figures.trade_off_points import past_maximum
from benchmark.report.figures.win_rate_bars import draw_win_rate_bars
from benchmark.report.palette import MARKERS
from benchmark.stats.sweeps import NO_OVERLAP

_spec = importlib.util.spec_from_file_location(
    "figure_gallery", Path(__file__).with_name("figure_gallery.py")
)
assert _spec is not None
assert _spec.loader is not None
gallery = importlib.util.module_from_spec(_spec)
sys.modules["figure_gallery"] = gallery
_spec.loader.exec_module(gallery)


def path(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_xydata(), dtype=np.float64)


def at(line: Line2D) -> tuple[float, float]:
    ((x, y),) = path(line).tolist()
    return x, y


def marks(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() in MARKERS and len(path(line)) == 1]


def test_points_ellipses_and_stars_are_those_of_the_plane() -> None:
    """What is off the front is pale, and nothing marks what all others are."""
    board = gallery.board_of(gallery.sweep_table())
    plane = board.planes[0]
    (axes,) = draw_trade_off(board).axes
    pale = {at(line) for line in marks(axes) if (line.get_alpha() or 1) < 1}
    assert pale == {(p.x, p.y) for p in plane.points if not p.may_be_on_front}
    assert 0 < len(pale) < len(plane.points)
    assert sorted(at(line) for line in marks(axes)) == sorted((p.x, p.y) for p in plane.points[1:])
    (star,) = (line for line in axes.lines if line.get_marker() == "*")
    assert at(star) == (plane.points[0].x, plane.points[0].y)
    outlines = [path(line) for line in axes.lines if len(path(line)) == 120]
    assert len(outlines) == len(plane.points) - 1
    for p, outline in zip(plane.points[1:], outlines, strict=True):
        assert p.covariance is not None
        xx, xy, yy = p.covariance
        away = outline - (p.x, p.y)
        squared = np.einsum("ni,ij,nj->n", away, np.linalg.inv([[xx, xy], [xy, yy]]), away)
        np.testing.assert_allclose(squared, p.q, rtol=1e-6)


def test_points_past_the_highest_reward_of_a_sweep_are_hollow() -> None:
    """Along beta within a step, else along steps; means over seeds; the base model begins every sweep."""

    def run(id_: str, beta: float, step: int = 100, seed: int = 0) -> Checkpoint:
        return Checkpoint(id_, "b", "f_dpo", "kl", {"beta": beta, "seed": seed}, step)

    base = Checkpoint("base", "b")
    sweep = [base, run("c", 0.1), run("a", 3.0), run("b", 1.0)]
    assert past_maximum(sweep, {"base": 0.0, "a": 1.0, "b": 2.0, "c": 1.5}) == {"c"}
    assert past_maximum(sweep, {"base": 3.0, "a": 1.0, "b": 2.0, "c": 1.5}) == {"a", "b", "c"}
    seeds = [run("a0", 3.0), run("a1", 3.0, seed=1), run("b0", 1.0), run("b1", 1.0, seed=1)]
    assert past_maximum(seeds, {"a0": 0.0, "a1": 3.0, "b0": 1.0, "b1": 1.0}) == {"b0", "b1"}
    steps = [run("s2", 1.0, 200), run("s1", 1.0, 100)]
    assert past_maximum(steps, {"s1": 2.0, "s2": 1.0}) == {"s2"}
    assert past_maximum([base, run("one", 1.0)], {"base": 2.0, "one": 1.0}) == set()

    (axes,) = draw_trade_off(gallery.board_of(gallery.sweep_table())).axes
    assert sum(line.get_markerfacecolor() == "white" for line in marks(axes)) > 0


@pytest.mark.parametrize(("methods", "betas"), [(1, 1), (2, 1), (4, 1), (2, 3), (4, 5), (19, 1), (1, 19)])
def test_labels_of_two_to_twenty_checkpoints_cover_neither_each_other_nor_points(
    methods: int, betas: int
) -> None:
    names = tuple(f"alpha(a={a / 20:g})" for a in range(1, methods + 1))
    table = gallery.sweep_table(names, tuple(3.0 * 0.8**i for i in range(betas)), n_prompts=12)
    with figure_style():
        figure = draw_trade_off(gallery.board_of(table))
        figure.draw_without_rendering()
        (axes,) = figure.axes
        # Of the letters alone: an annotation's own box has its leader in it.
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        assert all(
            axes.bbox.padded(1).containsx(box.x0) and axes.bbox.padded(1).containsx(box.x1) for box in boxes
        )
        assert all(
            axes.bbox.padded(1).containsy(box.y0) and axes.bbox.padded(1).containsy(box.y1) for box in boxes
        )
    shrunk = [box.padded(-0.5) for box in boxes]
    assert len(boxes) >= methods * betas
    assert not any(one.overlaps(other) for one, other in itertools.combinations(shrunk, 2))
    centres = axes.transData.transform(np.array([at(line) for line in marks(axes)]))
    assert not any(box.contains(x, y) for box in shrunk for x, y in centres)


def test_frontiers_are_labelled_lines_through_their_points() -> None:
    board = gallery.with_frontier(gallery.board_of(gallery.sweep_table(betas=(0.3,))))
    (axes,) = draw_trade_off(board).axes
    paths = [path(line).tolist() for line in axes.lines]
    words = " ".join(text.get_text() for text in axes.texts)
    for frontier in board.planes[0].frontiers:
        assert [[p.x, p.y] for p in frontier.points] in paths
        assert f"{frontier.name}: {frontier.points[-1].label}" in words


def test_iso_reward_draws_curves_common_range_and_contrasts() -> None:
    found = equal_level(gallery.sweep_table(seeds=(0, 1)), resamples=60)
    assert found.reference == "f_dpo reverse_kl"
    assert found.common is not None
    assert [point.name for point in found.curves[0].points] == [
        "base",
        *(f"beta {b:g}" for b in gallery.BETAS),
    ]
    for curve in found.curves:
        levels = [point.level for point in curve.points]
        assert [point.used for point in curve.points] == [i <= np.argmax(levels) for i in range(len(levels))]
    assert not all(point.used for curve in found.curves for point in curve.points)
    above, below = draw_iso_reward(found).axes
    hollow = [line for line in marks(above) if line.get_markerfacecolor() == "white"]
    assert len(hollow) == sum(not point.used for curve in found.curves for point in curve.points)
    assert len(below.containers) == len(found.contrasts) == 9
    assert len(contrast_lines(found)) == 10


def test_no_overlap_is_said_in_words() -> None:
    table = gallery.sweep_table()
    shift = table.rows["checkpoint"].str.contains("forward_kl") & (table.rows["scorer"] == "pickscore")
    lower = replace(table, rows=table.rows.assign(value=table.rows["value"] - 3.0 * shift))
    found = equal_level(lower, resamples=60)
    assert {contrast.note for contrast in found.contrasts} == {NO_OVERLAP}
    figure = draw_iso_reward(found)
    assert NO_OVERLAP in [text.get_text() for text in figure.axes[1].texts]
    assert "No overlap" in figure.get_supxlabel()
    assert all(line[2] == "-" and line[4] == NO_OVERLAP for line in contrast_lines(found)[1:])


def test_what_is_no_sweep_is_refused_in_one_line() -> None:
    table = gallery.sweep_table()
    with pytest.raises(UserError, match="more than one step"):
        equal_level(table, along="step")
    with pytest.raises(
        UnknownNameError, match="sweep parameter 'bta'; allowed: beta, step; did you mean beta"
    ):
        equal_level(table, along="bta")
    with pytest.raises(UnknownNameError, match="unknown method"):
        equal_level(table, reference="kl")
    with pytest.raises(UserError, match="level and outcome at once"):
        equal_level(table, level="hps", outcome="hps")
    with pytest.raises(UserError, match="no scorer of the diversity axis"):
        equal_level(replace(table, columns=table.columns[:2]))


def test_bars_go_from_one_half_to_the_share() -> None:
    table = gallery.sweep_table(betas=(1.0, 0.3))
    rates = win_rates_of(table, resamples=99)
    for axes, scorer in zip(
        draw_win_rate_bars(rates, table.checkpoints).axes, ("pickscore", "hps"), strict=True
    ):
        bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        shares = [rate.share for rate in rates if rate.scorer == scorer and rate.share is not None]
        assert sorted(bar.get_x() + bar.get_width() for bar in bars) == pytest.approx(sorted(shares))
        assert all(bar.get_x() == 0.5 for bar in bars)
    with pytest.raises(UnknownNameError, match="scorer of single images"):
        win_rates_of(table, scorers=["true_diversity"])
    with pytest.raises(UserError, match="no checkpoint beside base"):
        win_rates_of(replace(table, checkpoints=table.checkpoints[:1]))


def test_the_title_of_bars_says_where_all_win_and_where_all_lose() -> None:
    table = gallery.sweep_table(betas=(1.0, 0.3))
    rates = win_rates_of(table, resamples=99)
    won = [replace(r, share=0.7, lo=0.6, hi=0.8) if r.scorer == "hps" else r for r in rates]
    both = [replace(r, share=0.3, lo=0.2, hi=0.4) if r.scorer == "pickscore" else r for r in won]
    even = [replace(r, share=0.5, lo=0.4, hi=0.6) for r in rates]
    titles = [draw_win_rate_bars(each, table.checkpoints).get_suptitle() for each in (both, even)]
    count = len({rate.checkpoint for rate in rates})
    assert " ".join(titles[0].split()) == (
        f"All {count} checkpoints win on hps and lose on pickscore against {table.checkpoints[0].id}"
    )
    assert titles[1] == ""


def test_optima_are_drawn_through_and_hollow_beyond_without_widening_the_axes() -> None:
    board = gallery.board_of(gallery.sweep_table(betas=(0.3,)))
    full = tuple(
        replace(line, points=tuple(p for p in line.points if not p.hollow))
        for line in gallery.optimum_lines_of()
    )
    (plane,) = (p for p in board.planes[:1])
    (alone,) = draw_trade_off(replace(board, planes=(replace(plane, frontiers=full), *board.planes[1:]))).axes
    figure = draw_trade_off(gallery.with_optima(board))
    (axes,) = figure.axes
    assert axes.get_xlim() == alone.get_xlim()
    assert axes.get_ylim() == alone.get_ylim()
    drawn = {tuple(map(tuple, path(line).tolist())): line for line in axes.lines}
    colours = []
    for optimum in gallery.optimum_lines_of():
        places = [(p.x, p.y) for p in optimum.points]
        through = drawn[tuple(places[:8])]
        assert through.get_marker() == "None"
        rest = drawn[tuple(places[7:])]
        assert rest.get_linestyle() == ":"
        assert rest.get_markerfacecolor() == "white"
        assert through.get_color() == rest.get_color()
        dashes = through._unscaled_dash_pattern[1]  # type: ignore[attr-defined]
        colours.append((through.get_color(), len(dashes) and min(dashes) > 0))
    # The first has the colour of the method under its divergence, drawn through; the other one of its own.
    (legend,) = figure.legends
    handles = [line for line in legend.legend_handles if isinstance(line, Line2D)]
    entries = {t.get_text(): h.get_color() for t, h in zip(legend.texts, handles, strict=True)}
    assert entries == {
        "optimum reverse_kl": colours[0][0], "optimum chi2_kl": colours[1][0]
    }  # fmt: skip
    points = [line.get_color() for line in marks(axes)]
    assert colours[0] == (points[0], False)
    assert colours[1][1]
    assert colours[1][0] not in points
    words = figure._supxlabel.get_text().replace("\n", " ")  # type: ignore[attr-defined]
    assert "the optimum under each divergence, of pickscore on 16 images of the base per prompt" in words
    assert "dotted" not in words, "no hollow point is in view"
    lines = gallery.optimum_lines_of()
    everything = [(point.x, point.y) for line in lines for point in line.points]
    assert "dotted: the weight is on effectively fewer than 25 % of these" in lines_in_words(
        lines, {}, everything
    )


def test_optima_stand_behind_the_curves_of_equal_level() -> None:
    found = gallery.level_with_optima()
    figure = draw_iso_reward(found)
    above = figure.axes[0]
    plain = draw_iso_reward(replace(found, lines=())).axes[0]
    assert (above.get_xlim(), above.get_ylim()) == (plain.get_xlim(), plain.get_ylim())
    drawn = {tuple(map(tuple, path(line).tolist())) for line in above.lines}
    for line in found.lines:
        places = [(p.x, p.y) for p in line.points]
        assert {tuple(places[:8]), tuple(places[7:])} <= drawn
