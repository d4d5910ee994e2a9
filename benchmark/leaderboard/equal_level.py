"""Methods at equal reward, or at equal distance from the reference: curves and contrasts of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Axis, Checkpoint, Frontier, ScorerColumn
from benchmark.leaderboard.comparability import signature_about
from benchmark.leaderboard.names import objective_and_divergence
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.leaderboard.trade_off_plane import sampled_scorer
from benchmark.stats.arrays import RESAMPLES, BoolArray, FloatArray
from benchmark.stats.cells import prompt_means
from benchmark.stats.curves import sweep_curves, used_points
from benchmark.stats.sweeps import (
    Contrast,
    Sweep,
    contrasts_at_equal_level,
    numbered_prompts,
    without_gaps,
)
from benchmark.stats.training_runs import mean_over_runs

Along = Literal["beta", "step"]

_USUAL_REFERENCE = "reverse_kl"
_PARAMETERS: Mapping[str, Along] = {"beta": "beta", "step": "step"}


@dataclass(frozen=True)
class SweepPoint:
    """A point of a sweep, the mean over training seeds and prompts.

    Attributes:
        name: Such as ``beta 0.3``.
        level: What is held equal, in the scorer's own sign.
        outcome: What is compared, likewise.
        used: False past the sweep's highest level; such points are drawn hollow.
        level_half: Half the 95 % interval of the level's difference from the first point, over training seeds
            and prompts; None with one seed, and of the first point.
        outcome_half: The same of the outcome.
    """

    name: str
    level: float
    outcome: float
    used: bool
    level_half: float | None = None
    outcome_half: float | None = None


@dataclass(frozen=True)
class SweepCurve:
    """One method's way from the reference.

    Attributes:
        method: Its name.
        points: From weak to strong.
        envelope: The isotonic curve through the used points, (level, outcome) with rising reward.
    """

    method: str
    points: tuple[SweepPoint, ...]
    envelope: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class EqualLevel:
    """Methods compared where they have reached the same level.

    Attributes:
        level: Scorer that is held equal.
        outcome: Scorer that is compared.
        along: The sweep parameter.
        reference: Method that the others are compared with.
        curves: One a method.
        methods: Of all checkpoints but base models.
        common: Levels that all curves have reached, lowest and highest; None without overlap.
        contrasts: Method minus reference at shares of the common range; levels in the scorer's own sign.
        n_seeds: Training seeds behind every point.
        n_prompts: The most prompts behind a run's mean.
        n_prompts_least: The fewest.
        signature: Of the evaluation, as far as it is about the two scorers.
        lines: Optima under a divergence, level across and outcome upward.
    """

    level: ScorerColumn
    outcome: ScorerColumn
    along: Along
    reference: str
    curves: tuple[SweepCurve, ...]
    methods: tuple[str, ...]
    common: tuple[float, float] | None
    contrasts: tuple[Contrast, ...]
    n_seeds: int
    n_prompts: int
    n_prompts_least: int
    signature: str = ""
    lines: tuple[Frontier, ...] = ()


def equal_level(
    table: ScoreTable,
    *,
    level: str | None = None,
    outcome: str | None = None,
    along: str | None = None,
    reference: str | None = None,
    resamples: int = RESAMPLES,
) -> EqualLevel:
    """Curves of an outcome over a level for every method of a table, and their contrasts.

    Args:
        table: Scores of the base model and of runs that differ in method, `along` and training seed alone.
        level: Scorer held equal; by default the first primary one of preference.
        outcome: Scorer compared; by default the first primary one of diversity.
        along: The sweep parameter; by default beta if it varies within a method, else step.
        reference: Method; by default the one under ``reverse_kl``, or the first.
        resamples: Bootstrap resamples.

    Raises:
        UnknownNameError: For a scorer or a method that the table lacks, or another parameter.
        UserError: If there is no sweep along that parameter, or its runs do not belong together.
    """
    rising = sampled_scorer(table, level or _first(table, "preference", "--level"))
    compared = sampled_scorer(table, outcome or _first(table, "diversity", "--outcome"))
    if rising.name == compared.name:
        raise UserError(f"{rising.name} is level and outcome at once", do="name another scorer")
    if along is not None and along not in _PARAMETERS:
        raise UnknownNameError("sweep parameter", along, _PARAMETERS)
    parameter = (sweep_parameter(table) or "beta") if along is None else _PARAMETERS[along]
    if not _varies(table, parameter):
        raise UserError(
            f"no method of this evaluation has points of more than one {parameter}",
            do="evaluate a sweep, or choose --along beta or --along step",
        )
    sweeps = sweeps_of(table, rising.name, compared.name, parameter)
    names = [sweep.name for sweep in sweeps]
    reference_name = reference or next((n for n in names if n.endswith(_USUAL_REFERENCE)), names[0])
    if reference_name not in names:
        raise UnknownNameError("method of this evaluation", reference_name, names)
    sign = 1.0 if rising.higher_is_better or rising.axis == "distance" else -1.0
    sizes = np.concatenate(
        [(~np.isnan(a)).sum(axis=-1).ravel() for s in sweeps for a in (s.level, s.outcome)]
    )
    if not sizes.min():
        raise UserError(f"some run has no number of {rising.name} or of {compared.name}")
    contrasts = contrasts_at_equal_level(sweeps, reference_name, resamples=resamples)
    there = numbered_prompts(sweeps)
    curves = tuple(_curve(sweep, there, sign) for sweep in sweeps)
    return EqualLevel(
        level=rising,
        outcome=compared,
        along=parameter,
        reference=reference_name,
        curves=curves,
        methods=tuple(dict.fromkeys(objective_and_divergence(c) for c in table.checkpoints if not c.is_base)),
        common=_common(curves, sign),
        contrasts=tuple(replace(c, level=None if c.level is None else sign * c.level) for c in contrasts),
        n_seeds=sweeps[0].level.shape[1],
        n_prompts=int(sizes.max()),
        n_prompts_least=int(sizes.min()),
        signature=signature_about(table.signature, table.columns, (rising.name, compared.name)),
    )


def contrast_lines(found: EqualLevel) -> list[tuple[str, ...]]:
    """The contrasts as lines of a table, under a heading."""
    what = f"{found.outcome.name} less that of {found.reference}"
    lines: list[tuple[str, ...]] = [("method", f"at {found.level.name}", what, "95 % interval", "note")]
    for c in found.contrasts:
        place = f"{100 * c.share:.0f} % of the common range"
        if c.interval is None or c.level is None:
            lines.append((c.name, place, "-", "-", c.note))
            continue
        difference, lo, hi = (f"{v:+.4g}" for v in (c.interval.value, c.interval.lo, c.interval.hi))
        lines.append((c.name, f"{c.level:.4g} ({place})", difference, f"{lo} .. {hi}", c.note))
    return lines


def sweep_parameter(table: ScoreTable) -> Along | None:
    """The setting that varies within a method: beta, else the step; None where there is no sweep."""
    return next((along for along in _PARAMETERS.values() if _varies(table, along)), None)


def _varies(table: ScoreTable, along: Along) -> bool:
    values: dict[tuple[str | None, str | None], set[object]] = {}
    for c in table.checkpoints:
        if not c.is_base:
            value = c.step if along == "step" else c.hyperparameters.get("beta")
            values.setdefault((c.objective, c.divergence), set()).add(value)
    return any(len(found) > 1 for found in values.values())


def _curve(sweep: Sweep, prompts: BoolArray, sign: float) -> SweepCurve:
    whole = [without_gaps(a[..., prompts]) for a in (sweep.level, sweep.outcome)]
    level, outcome = (a.mean(axis=(1, 2)) for a in whole)
    halves = zip(*(_halves(a) for a in whole), strict=True)
    points = zip(sweep.points, sign * level, outcome, used_points(level), halves, strict=True)
    curve = sweep_curves(level, outcome)
    # Pooled points are one, past the maximum there is none.
    there = np.isfinite(curve.level)
    envelope = dict(zip(sign * curve.level[there], curve.outcome[there], strict=True))
    return SweepCurve(
        sweep.name,
        tuple(SweepPoint(name, float(x), float(y), bool(used), *half) for name, x, y, used, half in points),
        tuple((float(x), float(y)) for x, y in envelope.items()),
    )


def _halves(values: FloatArray) -> list[float | None]:
    """Half the 95 % interval of each point's difference from the first; None where seeds do not vary."""
    if values.shape[1] == 1:
        return [None] * len(values)
    ends = [mean_over_runs(point - values[0]).interval() for point in values[1:]]
    return [None, *((i.hi - i.lo) / 2 for i in ends)]


def _common(curves: Sequence[SweepCurve], sign: float) -> tuple[float, float] | None:
    low = max(sign * curve.envelope[0][0] for curve in curves)
    high = min(sign * curve.envelope[-1][0] for curve in curves)
    return (sign * low, sign * high) if high > low else None


def _first(table: ScoreTable, axis: Axis, option: str) -> str:
    sampled = [c for c in table.columns if c.axis == axis and c.unit != "set"]
    if not sampled:
        raise UserError(
            f"this evaluation has no scorer of the {axis} axis",
            allowed=", ".join(c.name for c in table.columns if c.unit != "set"),
            do=f"name one with {option}",
        )
    return next((c.name for c in sampled if c.primary), sampled[0].name)


def sweeps_of(table: ScoreTable, level: str, outcome: str, along: Along) -> tuple[Sweep, ...]:
    """One sweep for each method of a table, on the training seeds that all its points have.

    A method is an objective with its divergence. Its points are ordered from weak to strong: falling beta,
    or rising step; the base model, where the table has it, is the first point of all.

    Args:
        table: Scores of the base and of runs that differ in method, `along` and training seed alone.
        level: Scorer that is held equal, of unit image or prompt: a reward, or one of the distance axis.
        outcome: Scorer that is compared, likewise.
        along: The sweep parameter.

    Returns:
        The sweeps by name, such as ``f_dpo jensen_shannon``, for
        :func:`benchmark.stats.sweeps.contrasts_at_equal_level`. Levels rise towards better, or away from
        the reference; outcomes are in the scorer's own sign.

    Raises:
        UnknownNameError: For a scorer that the table lacks.
        UserError: If two runs are the same point and seed, or no seed is common to all points.
    """
    scored = table.rows[table.rows["scorer"].isin([level, outcome])]
    prompts = sorted(scored["prompt_id"].dropna().unique())
    values = [_values(table, sampled_scorer(table, name), prompts) for name in (level, outcome)]
    rising = sampled_scorer(table, level)
    if not rising.higher_is_better and rising.axis != "distance":
        values[0] = {id_: -means for id_, means in values[0].items()}
    methods: dict[str, dict[float, dict[object, str]]] = {}
    for checkpoint in table.checkpoints:
        if checkpoint.is_base:
            continue
        points = methods.setdefault(objective_and_divergence(checkpoint), {})
        runs = points.setdefault(_pressure(checkpoint, along), {})
        seed = checkpoint.hyperparameters.get("seed")
        if runs.setdefault(seed, checkpoint.id) != checkpoint.id:
            raise UserError(
                f"{runs[seed]} and {checkpoint.id} are the same point of a sweep along {along}",
                do="leave one of them out",
            )
    seeds = _common_seeds(methods)
    bases = [c.id for c in table.checkpoints if c.is_base][:1]
    sweeps = []
    for name, points in methods.items():
        order = [[id_] * len(seeds) for id_ in bases]
        order += [[points[p][s] for s in seeds] for p in sorted(points)]
        level_array, outcome_array = (np.array([[v[id_] for id_ in ids] for ids in order]) for v in values)
        called = (*bases, *(f"{along} {abs(p):g}" for p in sorted(points)))
        sweeps.append(Sweep(name, level_array, outcome_array, called))
    return tuple(sweeps)


def _pressure(checkpoint: Checkpoint, along: Along) -> float:
    """Rises with the pull away from the reference."""
    if along == "step":
        return float(checkpoint.step)
    beta = checkpoint.hyperparameters.get("beta")
    if not isinstance(beta, int | float):
        raise UserError(f"{checkpoint.id} has no beta", do="leave it out of a sweep along beta")
    return -float(beta)


def _common_seeds(methods: dict[str, dict[float, dict[object, str]]]) -> list[object]:
    runs = [seeds for points in methods.values() for seeds in points.values()]
    common = [seed for seed in runs[0] if all(seed in other for other in runs)] if runs else []
    if not common:
        raise UserError(
            "no training seed is common to all points of the sweeps",
            do="train every point with the same seeds",
        )
    return common


def _values(table: ScoreTable, column: ScorerColumn, prompts: Sequence[str]) -> dict[str, FloatArray]:
    """Prompt means of each checkpoint, in the order of the prompts."""
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    rows = table.rows_of(column.name)
    means = pd.DataFrame(prompt_means(cells_of(rows, ids)).T, index=sorted(rows["prompt_id"].unique()))
    ordered = means.reindex(list(prompts)).to_numpy()
    return {id_: ordered[:, i] for i, id_ in enumerate(ids)}
