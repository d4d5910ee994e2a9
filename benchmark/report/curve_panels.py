"""The panels of training curves, one a quantity, and the metrics of a run behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Line = Mapping[str, float | int | bool | None]


@dataclass(frozen=True)
class Series:
    """One line of a panel.

    Attributes:
        key: Of the metrics.
        loser: Whether it is the second line of its panel, of the losers.
        low: Metric of a band's lower end.
        high: Of its upper end.
        smoothed: Whether its line is a running mean; what is set, or measured at checkpoints, is not.
    """

    key: str
    loser: bool = False
    low: str | None = None
    high: str | None = None
    smoothed: bool = True


@dataclass(frozen=True)
class Panel:
    """A quantity over the steps.

    Attributes:
        label: Of the vertical axis, with its unit.
        series: Its lines.
        logarithmic: Whether the axis is.
        level: A line for the eye, such as an accuracy of 0.5.
        from_zero: Whether the axis begins at 0.
    """

    label: str
    series: tuple[Series, ...]
    logarithmic: bool = False
    level: float | None = None
    from_zero: bool = False


def _sides(key: str, band: tuple[str, str] | None = None) -> tuple[Series, Series]:
    """The same metric of winners and losers."""
    low, high = band or (None, None)
    winner, loser = (
        Series(f"{side}/{key}", side == "loser", low and f"{side}/{low}", high and f"{side}/{high}")
        for side in ("winner", "loser")
    )
    return winner, loser


REFERENCE = "heldout/loss"
"""Its value at step 0 is the one at the reference."""

PANELS: Mapping[str, Panel] = {
    "loss": Panel("training loss", (Series("loss"),)),
    "held-out-loss": Panel("held-out loss", (Series(REFERENCE, smoothed=False),)),
    "accuracy": Panel("accuracy (share of pairs)", (Series("accuracy"),), level=0.5),
    "held-out-accuracy": Panel(
        "held-out accuracy (share)", (Series("heldout/accuracy", smoothed=False),), level=0.5
    ),
    "log-ratios": Panel("log-ratio s [nats]", _sides("s_mean", ("s_q05", "s_q95"))),
    "slope": Panel("effective slope dh/ds", _sides("slope_mean")),
    "knee": Panel("share beyond the knee", _sides("beyond_knee"), level=0.01, from_zero=True),
    "grad-norm": Panel("gradient norm", (Series("grad_norm"),), logarithmic=True),
    "lr": Panel("learning rate", (Series("lr", smoothed=False),)),
}
"""By the name that `--metrics` takes; a metric's own key is a panel too."""


@dataclass(frozen=True, eq=False)
class RunCurves:
    """The metrics of a run.

    Attributes:
        name: In the legend.
        lines: What was logged, a record a step, in order; step 0 has held-out values alone.
    """

    name: str
    lines: Sequence[Line]

    def values(self, *keys: str) -> tuple[Floats, ...]:
        """Steps, then the values of each metric there, without the steps at which one of them is missing."""
        wanted = ("step", *keys)
        found = [[line[key] for key in wanted] for line in self.lines if all(_there(line, k) for k in wanted)]
        return tuple(np.array(found, dtype=np.float64).reshape(-1, len(wanted)).T)

    def diverged_at(self) -> Floats:
        """The checkpoints at which the run was marked."""
        return np.array([float(line["step"] or 0) for line in self.lines if line.get("diverged")])


def _there(line: Line, key: str) -> bool:
    return line.get(key) is not None


def running_mean(values: Floats, window: int) -> Floats:
    """The mean over the last `window` values, over fewer where there are no more.

    Example:
        >>> running_mean(np.array([1.0, 3.0, 5.0]), 2).tolist()
        [1.0, 2.0, 4.0]
    """
    if window == 1:
        return values  # to the bit: what is not smoothed is what was logged
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    mean: Floats = (total[end] - total[start]) / (end - start)
    return mean
