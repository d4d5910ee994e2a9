"""Training curves for the page: a panel a quantity, a line a run, as fine as a small picture can show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmark.report.curve_panels import PANELS, RunCurves, running_mean
from benchmark.report.numbers import round_to

_PANELS: Final = ("loss", "held-out-loss", "held-out-accuracy", "log-ratios", "grad-norm", "accuracy")
_POINTS: Final = 120
_PART: Final = 25
"""A line is the mean over this part of the steps, as in `fbench plot curves`."""
_DIGITS: Final = 4


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A run behind a checkpoint.

    Attributes:
        method: Objective and divergence, as checkpoints of it have them.
        curves: What it logged, under a name of its own.
    """

    method: str
    curves: RunCurves


def training_of(runs: Sequence[TrainingRun], numbers: Mapping[str, int]) -> dict[str, Any]:
    """The panels that have something in them.

    Args:
        runs: In order.
        numbers: Of the methods on the page, as of `palette.numbers_of`.

    Returns:
        ``runs`` (name and the number of the method's colour; None for a method that is not on the page) and
        ``panels``: label, level, and lines of run, whether it is the losers', and points.
    """
    panels = []
    for key in _PANELS:
        panel = PANELS[key]
        lines = [
            {"run": r, "loser": series.loser, "points": points}
            for r, run in enumerate(runs)
            for series in panel.series
            if (points := _points(run.curves, series.key, smoothed=series.smoothed))
        ]
        if lines:
            panels.append({"label": panel.label, "level": panel.level, "lines": lines})
    return {
        "runs": [{"name": run.curves.name, "look": numbers.get(run.method)} for run in runs],
        "panels": panels,
    }


def _points(run: RunCurves, key: str, *, smoothed: bool) -> list[list[float]]:
    steps, values = run.values(key)
    values = running_mean(values, max(1, len(run.lines) // _PART)) if smoothed else values
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _POINTS)).round().astype(int))
    return [[int(steps[i]), round_to(float(values[i]), _DIGITS)] for i in kept if np.isfinite(values[i])]
