"""The differences that the gate judges: candidate less baseline, scorer by scorer, each with its bounds."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint, ScorerColumn
from benchmark.core.words import number_of
from benchmark.gate.decision import Verdict, decide
from benchmark.gate.margins import NO_MARGINS, SET_MARGIN, default_margin, fill_margin, method_margin
from benchmark.leaderboard.score_arrays import cells_of, failed_of, set_values_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES, FloatArray
from benchmark.stats.cells import MAX_SHARE, missing_share, paired_differences, prompt_means
from benchmark.stats.jackknife import jackknife_interval
from benchmark.stats.one_sided import UNBOUNDED, Bounds, prompt_bounds, t_bounds
from benchmark.stats.training_runs import SEEDS_FOR_A_CLAIM, Difference, independent_runs, paired_runs

CANDIDATE_RUNS = 3
BASELINE_RUNS = 8
"""Training runs below which nothing is said about a method."""


def gate_checkpoints(
    table: ScoreTable,
    baseline: str,
    candidate: str,
    scorers: Sequence[str],
    *,
    margins: Mapping[str, float] = NO_MARGINS,
    resamples: int = RESAMPLES,
) -> Verdict:
    """Holds one checkpoint against another.

    More than 1 % missing on either side makes a scorer inconclusive.

    Args:
        table: Scores of both, and of the base model, whose spread is the margins' unit; where it has none,
            the baseline's spread is taken.
        baseline: Id of the checkpoint to be replaced.
        candidate: Id of the one that would replace it.
        scorers: Gated ones, of any unit.
        margins: M of some of them, in their units; the others have the default.
        resamples: Bootstrap resamples.

    Returns:
        The verdict.

    Raises:
        UnknownNameError: For a checkpoint or scorer that the table lacks, also among the margins.
        UserError: For a margin that is no positive number.
    """
    ids = _known_ids(table, [baseline, candidate])
    bounds: dict[str, Bounds] = {}
    known = dict(margins)
    for column in _columns(table, scorers, margins):
        rows = table.rows_of(column.name)
        if column.unit == "set":
            values = set_values_of(rows, ids)
            candidate_at, baseline_at = ids.index(candidate), ids.index(baseline)
            bounds[column.name] = set_bounds(
                float(values.value[candidate_at] - values.value[baseline_at]),
                _without_gaps(values.leave_out[:, candidate_at] - values.leave_out[:, baseline_at]),
                higher_is_better=column.higher_is_better,
            )  # fmt: skip
            share = SET_MARGIN * abs(float(values.value[baseline_at]))
            fill_margin(known, column.name, share, f"its value of {baseline}")
            continue
        cells = cells_of(rows, ids)
        bounds[column.name] = checkpoint_bounds(
            cells[ids.index(candidate)], cells[ids.index(baseline)],
            higher_is_better=column.higher_is_better, resamples=resamples,
        )  # fmt: skip
        if _has_gaps(rows, [candidate, baseline], ids):
            bounds[column.name] = UNBOUNDED
        base = table.base() or baseline
        fill_margin(known, column.name, default_margin(cells[ids.index(base)]), f"its spread of {base}")
    return decide(bounds, known)


def gate_methods(
    table: ScoreTable,
    baseline: Sequence[str],
    candidate: Sequence[str],
    scorers: Sequence[str],
    *,
    margins: Mapping[str, float] = NO_MARGINS,
) -> Verdict:
    """Holds the training runs of one method against those of another.

    More than 1 % missing in a run makes a scorer inconclusive.

    Args:
        table: Scores of all of them, and of the base model as for :func:`gate_checkpoints`.
        baseline: Ids of at least 8 runs; each has its training seed among its hyperparameters.
        candidate: Ids of at least 3 runs.
        scorers: Gated ones, of unit image or prompt.
        margins: As for :func:`gate_checkpoints`; by default those of the preference axis are no wider than
            what the baseline gained over the base model.

    Returns:
        The verdict.

    Raises:
        UnknownNameError: As for :func:`gate_checkpoints`.
        UserError: For too few runs, a run without a training seed, or a scorer of unit set.
    """
    ids = _known_ids(table, [*baseline, *candidate])
    by_id = {checkpoint.id: checkpoint for checkpoint in table.checkpoints}
    ours, theirs = ([ids.index(i) for i in run_ids] for run_ids in (candidate, baseline))
    our_seeds, their_seeds = ([_seed(by_id[i]) for i in run_ids] for run_ids in (candidate, baseline))
    bounds: dict[str, Bounds] = {}
    known = dict(margins)
    for column in _columns(table, scorers, margins):
        if column.unit == "set":
            raise UserError(f"{column.name} has one number a set", allowed="scorers of unit image or prompt")
        rows = table.rows_of(column.name)
        cells = cells_of(rows, ids)
        bounds[column.name] = run_bounds(
            cells[ours], cells[theirs], our_seeds, their_seeds,
            higher_is_better=column.higher_is_better,
        )  # fmt: skip
        if _has_gaps(rows, [*candidate, *baseline], ids):
            bounds[column.name] = UNBOUNDED
        base = table.base() or baseline[0]
        spread = cells[ids.index(base)]
        margin = default_margin(spread)
        if column.axis == "preference" and by_id[base].is_base:
            margin = method_margin(spread, cells[theirs], higher_is_better=column.higher_is_better)
        fill_margin(known, column.name, margin, f"its spread of {base}")
    return decide(bounds, known)


def checkpoint_bounds(
    candidate: FloatArray,
    baseline: FloatArray,
    *,
    higher_is_better: bool,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bounds:
    """Two checkpoints on one scorer of unit image or prompt, paired cell by cell.

    Args:
        candidate: Shape (prompts, images), ``NaN`` where missing.
        baseline: Same shape.
        higher_is_better: Direction of the scorer.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Bounds over prompts, better = positive.
    """
    sign = 1.0 if higher_is_better else -1.0
    differences = sign * paired_differences(candidate, baseline)
    return prompt_bounds(differences, resamples=resamples, seed=seed)


def set_bounds(value: float, leave_out: FloatArray, *, higher_is_better: bool) -> Bounds:
    """Two checkpoints on one scorer of unit set, by the jackknife over groups of prompts.

    Args:
        value: Candidate's value less the baseline's.
        leave_out: The same without each group, shape (groups,).
        higher_is_better: Direction of the scorer.

    Returns:
        Bounds with groups - 1 degrees of freedom, better = positive.
    """
    sign = 1.0 if higher_is_better else -1.0
    interval = jackknife_interval(sign * value, sign * leave_out)
    return t_bounds(Difference(interval.value, interval.se, max(interval.n - 1.0, 1.0)))


def run_bounds(
    candidate: FloatArray,
    baseline: FloatArray,
    candidate_seeds: Sequence[int],
    baseline_seeds: Sequence[int],
    *,
    higher_is_better: bool,
) -> Bounds:
    """Two methods on one scorer: training runs against training runs, on the same prompts and noise.

    With at least five training seeds in common the runs are paired by them. With fewer, all runs of both
    count as independent: three pairs leave two degrees of freedom, which costs more than pairing gains.
    Prompts and evaluation noise are paired either way, and training-seed variance is in the bounds.

    Args:
        candidate: Shape (runs, prompts, images), ``NaN`` where missing.
        baseline: Shape (other runs, prompts, images).
        candidate_seeds: Training seed of each candidate run.
        baseline_seeds: Training seed of each baseline run.
        higher_is_better: Direction of the scorer.

    Returns:
        Bounds over runs and prompts, better = positive.

    Raises:
        UserError: With fewer than 3 candidate or 8 baseline runs, or two runs of one method and seed.
    """
    _check_runs("candidate", candidate_seeds, CANDIDATE_RUNS)
    _check_runs("baseline", baseline_seeds, BASELINE_RUNS)
    sign = 1.0 if higher_is_better else -1.0
    ours, theirs = prompt_means(sign * candidate), prompt_means(sign * baseline)
    shared = [seed for seed in candidate_seeds if seed in baseline_seeds]
    if len(shared) < SEEDS_FOR_A_CLAIM:
        return t_bounds(independent_runs(ours, theirs))
    left = [list(candidate_seeds).index(seed) for seed in shared]
    right = [list(baseline_seeds).index(seed) for seed in shared]
    return t_bounds(paired_runs(ours[left], theirs[right]))


def _check_runs(which: str, seeds: Sequence[int], least: int) -> None:
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if list(seeds).count(seed) > 1)
        raise UserError(f"two {which} runs have training seed {twice}", do="leave one of them out")
    if len(seeds) < least:
        raise UserError(
            number_of(len(seeds), f"{which} run"),
            allowed=f"at least {least}",
            do="train it with more --seed values",
        )


def _columns(table: ScoreTable, scorers: Sequence[str], margins: Mapping[str, float]) -> list[ScorerColumn]:
    by_name = {column.name: column for column in table.columns}
    for name in scorers:
        if name not in by_name:
            raise UnknownNameError("scorer of this evaluation", name, by_name)
    for name in margins:
        if name not in scorers:
            raise UnknownNameError("gated scorer", name, scorers)
    return [by_name[name] for name in scorers]


def _known_ids(table: ScoreTable, wanted: Sequence[str]) -> list[str]:
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    for id_ in wanted:
        if id_ not in ids:
            raise UnknownNameError("checkpoint", id_, ids)
    return ids


def _has_gaps(rows: pd.DataFrame, chosen: Sequence[str], ids: Sequence[str]) -> bool:
    """Whether a gated checkpoint lacks more than 1 %: who fails where it is hard must not pass for it."""
    share = missing_share(failed_of(rows, ids))
    return bool(max(share[ids.index(id_)] for id_ in chosen) > MAX_SHARE)


def _seed(checkpoint: Checkpoint) -> int:
    seed = checkpoint.hyperparameters.get("seed")
    if not isinstance(seed, int):
        raise UserError(f"{checkpoint.id} has no training seed", do="gate runs of `fbench train`")
    return seed


def _without_gaps(leave_out: np.ndarray) -> np.ndarray:
    """All groups, or none where one is missing: a jackknife of fewer would be another one."""
    return leave_out[:0] if np.isnan(leave_out).any() else leave_out
