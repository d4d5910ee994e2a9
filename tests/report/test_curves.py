"""Laws of the training curves: every value at its step, marks where they belong, gaps stay gaps."""

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.report.curve_panels import PANELS, RunCurves, running_mean
from benchmark.report.figures import curves
from benchmark.report.figures.curves import draw_curves
from benchmark.report.figures.style import (
    COLUMN_INCHES,
)
from benchmark.report.palette import COLOURS

FULL = (
    "loss", "held-out-loss", "accuracy", "held-out-accuracy", "log-ratios", "slope", "knee", "grad-norm",
    "lr",
)  # fmt: skip


def preference_run(name: str = "js", steps: int = 20, diverged: tuple[int, ...] = ()) -> RunCurves:
    """Numbers that say which step and which metric they are."""
    lines: list[dict[str, Any]] = [{"step": 0, "heldout/loss": log(2), "heldout/accuracy": 0.5}]
    for t in range(1, steps + 1):
        line: dict[str, Any] = {
            "step": t,
            "loss": 0.7 - t / 100,
            "accuracy": 0.5 + t / 100,
            "grad_norm": t,
            "lr": 1e-4,
        }
        for side, level in (("winner", -0.1), ("loser", -0.2)):
            s = level * t
            line |= {f"{side}/s_mean": s, f"{side}/s_q05": s - 1, f"{side}/s_q95": s + 2}
            line |= {f"{side}/slope_mean": 1 - level, f"{side}/beyond_knee": 0.0}
        if t % 5 == 0:
            line |= {"heldout/loss": 0.69 + t / 1000, "heldout/accuracy": 0.6, "diverged": t in diverged}
        lines.append(line)
    return RunCurves(name, lines)


def sft_run() -> RunCurves:
    lines = [{"step": 0, "heldout/loss": 0.2}]
    lines += [{"step": t, "loss": 0.2 - t / 100, "grad_norm": 1.0, "lr": 1e-4} for t in range(1, 6)]
    return RunCurves("sft", lines)


def panel(figure: Figure, name: str) -> Axes:
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == PANELS[name].label]
    return axes


def data(line: Line2D) -> dict[float, float]:
    return {float(x): float(y) for x, y in np.asarray(line.get_xydata())}


def labels(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_they_are_written_and_the_same_every_time(tmp_path: Path, ending: str) -> None:
    runs = [preference_run("js", diverged=(20,)), preference_run("kl", 10), sft_run()]
    path = curves(tmp_path / f"a{ending}", runs)
    assert path.read_bytes().startswith({".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[ending])
    assert curves(tmp_path / f"b{ending}", runs).read_bytes() == path.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_has_a_panel_for_each_quantity_that_it_logged() -> None:
    figure = draw_curves([preference_run()])
    assert [axes.get_ylabel() for axes in figure.axes] == [PANELS[name].label for name in FULL]
    drawn = [axes for axes in draw_curves([sft_run()]).axes if axes.axison]
    assert [axes.get_ylabel() for axes in drawn] == [
        PANELS[name].label for name in ("loss", "held-out-loss", "grad-norm", "lr")
    ]


def test_every_value_is_at_its_step_and_the_mean_is_over_the_last_ones() -> None:
    run = preference_run()
    raw, mean = panel(draw_curves([run], smoothing=4), "loss").lines
    assert data(raw) == pytest.approx({t: 0.7 - t / 100 for t in range(1, 21)})
    assert float(raw.get_alpha() or 1) < 0.5
    assert np.asarray(mean.get_ydata())[-1] == pytest.approx(np.mean([0.7 - t / 100 for t in range(17, 21)]))
    assert np.asarray(mean.get_ydata())[0] == pytest.approx(0.69)
    (only,) = panel(draw_curves([run], smoothing=1), "loss").lines
    assert data(only) == pytest.approx({t: 0.7 - t / 100 for t in range(1, 21)})


def test_what_is_set_and_what_is_measured_at_checkpoints_is_not_smoothed() -> None:
    figure = draw_curves([preference_run()], smoothing=7)
    (rate,) = panel(figure, "lr").lines
    assert set(np.asarray(rate.get_ydata())) == {1e-4}
    held_out = panel(figure, "held-out-loss").lines[0]
    assert data(held_out) == pytest.approx({0: log(2), **{t: 0.69 + t / 1000 for t in (5, 10, 15, 20)}})
    assert held_out.get_marker() == "o"


def test_the_value_at_the_reference_is_a_level_and_diverged_is_marked() -> None:
    figure = draw_curves([preference_run(diverged=(15, 20))])
    axes = panel(figure, "held-out-loss")
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert data(cross) == pytest.approx({15: 0.705, 20: 0.71})
    levels = [line for line in axes.lines if line.is_dashed()]
    assert [set(np.asarray(line.get_ydata())) for line in levels] == [{log(2)}]
    assert {"at the reference", "diverged"} <= set(labels(figure))
    assert "diverged" not in labels(draw_curves([preference_run()]))


def test_winners_and_losers_are_told_apart_and_have_their_bands() -> None:
    axes = panel(draw_curves([preference_run()], smoothing=1), "log-ratios")
    winners, losers = axes.lines
    assert np.asarray(winners.get_ydata())[-1] == pytest.approx(-2)
    assert np.asarray(losers.get_ydata())[-1] == pytest.approx(-4)
    assert not winners.is_dashed()
    assert losers.is_dashed()
    assert winners.get_color() != losers.get_color()
    bands = [c for c in axes.collections if isinstance(c, PolyCollection)]
    ends = [c.get_paths()[0].get_extents() for c in bands]
    assert [(box.y0, box.y1) for box in ends] == [pytest.approx((-3, 1.9)), pytest.approx((-5, 1.8))]


def test_runs_are_told_by_colour_in_a_legend_outside_the_data() -> None:
    runs = [preference_run(name) for name in ("a", "b", "c")]
    figure = draw_curves(runs, smoothing=1)
    assert labels(figure)[:5] == ["a", "b", "c", "winners", "losers"]
    colours = [line.get_color() for line in panel(figure, "loss").lines]
    assert colours == list(COLOURS[:3])
    axes = panel(figure, "log-ratios")
    assert [(line.get_color(), line.is_dashed()) for line in axes.lines] == [
        (colour, dashed) for colour in COLOURS[:3] for dashed in (False, True)
    ]
    assert not axes.collections  # three runs' bands would hide each other
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_gaps_and_numbers_that_are_none_leave_steps_out() -> None:
    run = preference_run(steps=6)
    lines = [dict(line) for line in run.lines]
    lines[2]["loss"] = None  # what was not finite
    lines[3]["winner/s_q95"] = None
    del lines[4]["grad_norm"]
    figure = draw_curves([RunCurves("x", lines)], smoothing=1)
    assert list(data(panel(figure, "loss").lines[0])) == [1, 3, 4, 5, 6]
    assert list(data(panel(figure, "grad-norm").lines[0])) == [1, 2, 3, 5, 6]
    band = panel(figure, "log-ratios").collections[0].get_paths()[0].vertices
    assert 3 not in np.asarray(band)[:, 0]


def test_a_single_step_is_a_dot(tmp_path: Path) -> None:
    run = RunCurves("short", [{"step": 1, "loss": 0.7, "lr": 1e-4}])
    (dot,) = panel(draw_curves([run]), "loss").lines
    assert (data(dot), dot.get_marker()) == ({1: 0.7}, "o")
    assert curves(tmp_path / "a.png", [run]).stat().st_size > 1000


def test_metrics_are_chosen_by_panel_or_by_key() -> None:
    run = preference_run()
    figure = draw_curves([run], metrics=["knee", "winner/s_q05"])
    assert [axes.get_ylabel() for axes in figure.axes] == [PANELS["knee"].label, "winner/s_q05"]
    assert draw_curves([run], metrics=["loss"]).get_figwidth() == COLUMN_INCHES
    with pytest.raises(UnknownNameError, match="unknown metric of these runs 'los'; .*did you mean loss"):
        draw_curves([run], metrics=["los"])
    with pytest.raises(UnknownNameError, match="did you mean winner/s_mean"):
        draw_curves([run], metrics=["winner/s_meen"])
    with pytest.raises(UnknownNameError, match="unknown metric of these runs 'log-ratios'"):
        draw_curves([sft_run()], metrics=["log-ratios"])


def test_nothing_logged_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="logged nothing"):
        curves(tmp_path / "a.png", [RunCurves("x", [])])


def test_the_share_beyond_the_knee_begins_at_zero_and_shows_where_a_run_is_marked() -> None:
    axes = panel(draw_curves([preference_run()]), "knee")
    assert axes.get_ylim()[0] == 0
    assert 0.01 in {float(np.asarray(line.get_ydata())[0]) for line in axes.lines}
    assert axes.get_ylim()[1] > 0.01


def test_a_running_mean_of_a_constant_is_the_constant() -> None:
    for window in (1, 3, 50):
        assert running_mean(np.full(9, 2.5), window).tolist() == pytest.approx([2.5] * 9)
    assert running_mean(np.array([]), 3).tolist() == []
