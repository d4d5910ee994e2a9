"""One scorer's numbers over training runs, whatever its unit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.core.records import UNDEFINED, ScorerColumn
from benchmark.leaderboard.grid import cells_of, failed_of, set_values_of
from benchmark.stats.arrays import BoolArray, IntArray
from benchmark.stats.cells import paired_differences, prompt_means
from benchmark.stats.methods import Difference, mean_over_runs, set_mean_over_runs
from benchmark.stats.missing import MAX_SHARE, missing_share


@dataclass(frozen=True, eq=False)
class RunScores:
    """One scorer's numbers, by the index of a run.

    Attributes:
        mean: Of some runs, or of their paired differences from as many others.
        remark: On some runs: prompts without a number, or what the scorer noted of the sets; may be empty.
        kept: Which runs lack at most 1 %.
        counts: Numbers of each run.
        missing: Failures of each run.
        lacks: Why each run would be left out.
        ids: Of the runs.
    """

    mean: Callable[[IntArray, IntArray | None], Difference]
    remark: Callable[[IntArray], str]
    kept: BoolArray
    counts: IntArray
    missing: IntArray
    lacks: tuple[str, ...]
    ids: tuple[str, ...]


def run_scores(facts: ScorerColumn, rows: pd.DataFrame, ids: tuple[str, ...]) -> RunScores:
    """The numbers of one scorer.

    Args:
        facts: Which scorer.
        rows: Its rows.
        ids: Of the runs, in order.
    """
    if facts.unit == "set":
        return _of_sets(rows, ids)
    cells = cells_of(rows, ids)
    failed = failed_of(rows, ids) if np.isnan(cells).any() else np.zeros(cells.shape, dtype=np.bool_)
    means = prompt_means(cells)

    def mean(runs: IntArray, others: IntArray | None) -> Difference:
        return mean_over_runs(
            means[runs] if others is None else paired_differences(cells[runs], cells[others])
        )

    def remark(runs: IntArray) -> str:
        count = int(np.isnan(means[runs]).any(axis=0).sum())
        return (
            f"{count} of {means.shape[1]} prompts left out, which some run has no number for" if count else ""
        )

    share = missing_share(failed)
    counts, missing = (~np.isnan(cells)).sum(axis=(1, 2)), failed.sum(axis=(1, 2))
    return RunScores(
        mean,
        remark,
        share <= MAX_SHARE,
        counts,
        missing,
        tuple(f"{100 * s:.1f} % missing" for s in share),
        ids,
    )


def _of_sets(rows: pd.DataFrame, ids: tuple[str, ...]) -> RunScores:
    found = set_values_of(rows, ids)
    value, leave_out = found.value, found.leave_out

    def mean(runs: IntArray, others: IntArray | None) -> Difference:
        if others is None:
            return set_mean_over_runs(value[runs], leave_out[:, runs])
        return set_mean_over_runs(value[runs] - value[others], leave_out[:, runs] - leave_out[:, others])

    whole = rows[rows["prompt_id"].isna()]
    said = dict(zip(whole["checkpoint"], whole["note"], strict=True))
    notes = tuple(said.get(id_, "no row") for id_ in ids)
    there = ~np.isnan(value)
    failed = ~there & ~np.array([note.startswith(UNDEFINED) for note in notes])

    def remark(runs: IntArray) -> str:
        return "; ".join(dict.fromkeys(notes[i] for i in runs if notes[i]))

    return RunScores(mean, remark, there, there.astype(np.int64), failed.astype(np.int64), notes, ids)
