"""Figures of training runs: curves, and gradient fields of divergences with a run's own pairs on top."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.core.errors import ConfigError, MissingFileError, UnknownNameError, UserError, pasted
from benchmark.report.curve_panels import RunCurves
from benchmark.report.figures import gradient_field as write_figure
from benchmark.report.figures.gradient_field import Cloud, GradientField
from trainers.checkpoints import read_checkpoints
from trainers.log_ratio_cloud import read_log_ratios
from trainers.logs import read_metrics

Axes = Literal["log-ratio", "ratio"]
Floats = NDArray[np.floating]

LIMIT = {"log-ratio": 4.0, "ratio": 3.0}
"""Where the axes end unless told otherwise, in nats or as a ratio."""
ARROWS = 14
"""Along each axis; an even number, so that none lies under the reference."""
_TINY = 1e-290
_A_RUN = "the folder of a run of `fbench train`"
_SHOWN = (0.01, 0.99)
"""Quantiles of a cloud that the axes show."""


@dataclass(frozen=True)
class RunField:
    """What a run has to say of its field.

    Attributes:
        divergence: As one would type it.
        beta: As stated, before slope matching.
        slope_matched: Whether it was divided by f''(1).
        cloud: Its held-out pairs, in log-ratios.
    """

    divergence: str
    beta: float
    slope_matched: bool
    cloud: Cloud


def divergence_field(
    spec: str, beta: float, points: Floats, axes: Axes = "log-ratio", *, slope_matched: bool = False
) -> GradientField:
    r"""The gradient of one pair's f-DPO loss on a square grid.

    $$ \partial L/\partial s_w = -\beta\,\sigma(-\beta\Delta)\,h'(s_w), \qquad
       \partial L/\partial s_l = +\beta\,\sigma(-\beta\Delta)\,h'(s_l), $$

    and over the ratios $X_1 = e^{s_w}, X_2 = e^{s_l}$ the same divided by $X_1$ and $X_2$.

    Args:
        spec: A divergence: a name, `NAME(args)`, `path.py:Name` or a formula.
        beta: Its weight.
        points: Coordinates along both axes, (m,): nats, or positive ratios.
        axes: Which of the two.
        slope_matched: Divide beta by f''(1).

    Raises:
        UserError: for a divergence that cannot be made.
        ConfigError: if beta is not positive.
    """
    import torch

    from trainers.divergences import divergences
    from trainers.objectives import gradient_field, slope_matched_beta

    if not beta > 0 or not np.isfinite(beta):
        raise ConfigError(f"beta is {beta:g}", allowed="a positive number")
    divergence = divergences.create(spec)
    weight = slope_matched_beta(beta, divergence) if slope_matched else beta
    at = torch.as_tensor(points, dtype=torch.float64)
    s = at if axes == "log-ratio" else at.log()
    s_l, s_w = torch.meshgrid(s, s, indexing="ij")
    d_w, d_l = gradient_field(divergence, weight, s_w, s_l)
    # Far below equal margin the logistic function is 0 even in float64; the direction is still known.
    lost = (d_w == 0) & (d_l == 0)
    d_w = torch.where(lost, -_TINY * divergence.slope(s_w), d_w)
    d_l = torch.where(lost, _TINY * divergence.slope(s_l), d_l)
    if axes == "ratio":
        d_w, d_l = d_w / s_w.exp(), d_l / s_l.exp()
    title = f"{spec}, β = {weight:.3g}" if slope_matched else spec
    return GradientField(title, points, points, d_w.numpy(), d_l.numpy())


def run_field(run: Path, step: int | None = None) -> RunField:
    """The divergence, beta and cloud of a run; under `rpo` the field is that of a pair by itself.

    Args:
        run: The run's folder.
        step: Which checkpoint; None for the last with a cloud.

    Raises:
        UserError: if the run is not there, has no cloud, or its objective has no divergence.
    """
    if not run.is_dir():
        raise MissingFileError(run, "run", allowed=_A_RUN, do=_train_first(run))
    found = read_log_ratios(run, step)
    records = {c.step: c for c in read_checkpoints(run)}
    if found.step not in records:
        raise UserError(
            f"{run} has log-ratios of step {found.step} and no checkpoint of it", do="train it again"
        )
    checkpoint = records[found.step]
    beta = checkpoint.hyperparameters.get("beta")
    if checkpoint.divergence is None or not isinstance(beta, int | float):
        raise UserError(f"{run} was trained with {checkpoint.objective}, which has no divergence and beta")
    cloud = Cloud(f"{run.name}, step {found.step}", found.s_w.ravel(), found.s_l.ravel())
    matched = bool(checkpoint.hyperparameters.get("slope_matched"))
    return RunField(checkpoint.divergence, float(beta), matched, cloud)


def in_ratios(cloud: Cloud) -> Cloud:
    """A cloud of log-ratios as one of ratios."""
    winner, loser = (np.exp(s.astype(np.float64)) for s in (cloud.winner, cloud.loser))
    return Cloud(cloud.label, winner, loser)


def grid(axes: Axes, limit: float | None = None, cloud: Cloud | None = None) -> Floats:
    """Where the arrows stand along each axis.

    Args:
        axes: Log-ratios are symmetric about 0 without a cloud; ratios begin near 0.
        limit: The end of the axes; None for the cloud's, or :data:`LIMIT`.
        cloud: Log-ratios show all but the outermost two percent of it; ratios span decades, so theirs do not.

    Raises:
        ConfigError: if the limit is not positive.
    """
    if limit is not None and not 0 < limit < np.inf:
        raise ConfigError(f"--limit is {limit:g}", allowed="a positive number")
    low, high = -(limit or LIMIT[axes]), limit or LIMIT[axes]
    if axes == "ratio":
        low = high / (2 * ARROWS)  # the middle of the first cell: at 0 the gradient has no end
        return np.linspace(low, high - low, ARROWS)
    if cloud is not None and limit is None:
        low, high = _span(np.concatenate([cloud.winner, cloud.loser]))
    margin = (high - low) / (2 * ARROWS)
    return np.linspace(low + margin, high - margin, ARROWS)


def _span(values: Floats) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise UserError("the run's log-ratios are not finite", do="give --limit")
    low, high = np.quantile(finite, _SHOWN)
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    air = 0.06 * max(high - low, 0.1)
    return low - air, high + air


def draw(
    specs: Sequence[str],
    path: Path,
    *,
    run: Path | None = None,
    step: int | None = None,
    beta: float | None = None,
    axes: str = "log-ratio",
    limit: float | None = None,
    slope_matched: bool = False,
) -> Path:
    """Draws the fields of divergences side by side, with a run's pairs on top.

    Args:
        specs: Divergences; none for the run's own.
        path: Where to; ``.png``, ``.pdf`` or ``.svg``.
        run: A run's folder, for its cloud, its divergence and its beta.
        step: Which of its checkpoints; None for the last.
        beta: Weight of all divergences; None for the run's, else 1.
        axes: `log-ratio` or `ratio`.
        limit: The end of the axes; None for the cloud's, or :data:`LIMIT`.
        slope_matched: Divide beta by each divergence's f''(1); a run that did so does it here too.

    Raises:
        UserError: for what cannot be drawn.
    """
    plane = _axes(axes)
    own = None if run is None else run_field(run, step)
    if own is None and step is not None:
        raise ConfigError(f"--step is {step}, and there is no run", do="add --run")
    if own is None and not specs:
        raise ConfigError("no divergence is given", do="name some of `fbench list divergences`, or --run RUN")
    beta = beta if beta is not None else (own.beta if own else 1.0)
    matched = slope_matched or (own is not None and own.slope_matched)
    cloud = None if own is None else (own.cloud if plane == "log-ratio" else in_ratios(own.cloud))
    points = grid(plane, limit, cloud)
    chosen = list(specs) or [own.divergence for own in (own,) if own is not None]
    fields = [divergence_field(spec, beta, points, plane, slope_matched=matched) for spec in chosen]
    note = f"β = {beta:g}{' / f″(1), slope-matched' if matched else ''}"
    return write_figure(path, fields, axes=plane, cloud=cloud, note=note)


def _axes(text: str) -> Axes:
    if text == "log-ratio":
        return "log-ratio"
    if text == "ratio":
        return "ratio"
    raise UnknownNameError("axes", text, LIMIT)


def read_curves(folders: Sequence[Path]) -> list[RunCurves]:
    """The curves of runs, under the shortest names that tell them apart.

    Raises:
        MissingFileError: if a folder has no metrics.
        UnreadableFileError: if they are not a line of numbers a step.
        UserError: if a folder is named twice, or a run has logged nothing yet.
    """
    names = _names([folder.resolve() for folder in folders])
    return [RunCurves(name, _read(folder)) for name, folder in zip(names, folders, strict=True)]


def _read(folder: Path) -> list[dict[str, float | int | bool | None]]:
    path = folder / "metrics.jsonl"
    if not path.is_file():
        raise MissingFileError(path, "metrics of a run", allowed=_A_RUN, do=_train_first(folder))
    lines = read_metrics(folder)
    if not lines:
        raise UserError(f"{path} is empty", do="wait for the run's first step")
    return lines


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, with as many before it as it takes.

    Example:
        >>> _names([Path("/a/js/run"), Path("/a/kl/run"), Path("/a/other")])
        ['js/run', 'kl/run', 'other']
    """
    if len(set(folders)) < len(folders):
        twice = next(folder for folder in folders if folders.count(folder) > 1)
        raise UserError(f"{twice} is named twice")
    found = []
    for folder in folders:
        n = 1
        while sum(other.parts[-n:] == folder.parts[-n:] for other in folders) > 1:
            n += 1
        found.append("/".join(folder.parts[-n:]))
    return found


def _train_first(folder: Path) -> str:
    return f"run {pasted('fbench', 'train', '--preset', 'shapes-rpo', '--out', folder)} first"
