"""From a table of checkpoints to sweeps that can be compared at equal reward or equal distance."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint, ScorerColumn
from benchmark.leaderboard.grid import cells_of
from benchmark.leaderboard.plane import sampled_scorer
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import FloatArray
from benchmark.stats.cells import prompt_means
from benchmark.stats.sweeps import Sweep

Along = Literal["beta", "step"]


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
    asked = table.rows[table.rows["scorer"].isin([level, outcome])]
    prompts = sorted(asked["prompt_id"].dropna().unique())
    values = [_values(table, sampled_scorer(table, name), prompts) for name in (level, outcome)]
    rising = sampled_scorer(table, level)
    if not rising.higher_is_better and rising.axis != "distance":
        values[0] = {id_: -means for id_, means in values[0].items()}
    methods: dict[str, dict[float, dict[object, str]]] = {}
    for checkpoint in table.checkpoints:
        if checkpoint.is_base:
            continue
        points = methods.setdefault(_method(checkpoint), {})
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


def _method(checkpoint: Checkpoint) -> str:
    return " ".join(part for part in (checkpoint.objective, checkpoint.divergence) if part)


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
    rows = table.rows[table.rows["scorer"] == column.name]
    means = pd.DataFrame(prompt_means(cells_of(rows, ids)).T, index=sorted(rows["prompt_id"].unique()))
    ordered = means.reindex(list(prompts)).to_numpy()
    return {id_: ordered[:, i] for i, id_ in enumerate(ids)}
