"""One scorer's column of the leaderboard of methods: numbers over training runs in, cells out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmark.core.records import UNDEFINED, LeaderboardCell, ScorerColumn
from benchmark.leaderboard.same_method import Method, seeds_for_a_claim
from benchmark.leaderboard.score_arrays import cells_of, failed_of, or_none, set_values_of
from benchmark.stats.arrays import LEVEL, BoolArray, IntArray
from benchmark.stats.best import tie_groups
from benchmark.stats.cells import MAX_SHARE, missing_share, paired_differences, prompt_means
from benchmark.stats.p_values import holm
from benchmark.stats.power import minimum_detectable_effect
from benchmark.stats.training_runs import UNKNOWN, Difference, mean_over_runs, set_mean_over_runs

SEEDS_FOR_AN_INTERVAL = 3
"""Training seeds below which a method's mean has no interval: in a simulation that of two covered 87 %."""


def method_cells(
    facts: ScorerColumn, rows: pd.DataFrame, methods: Sequence[Method], ids: Sequence[str], reference: Method
) -> tuple[LeaderboardCell, ...]:
    """The cells of one scorer, one a method, in order.

    Args:
        facts: Which scorer.
        rows: Its rows.
        methods: Those of the table.
        ids: Of all training runs.
        reference: Method that the others are compared with.
    """
    return _MethodColumn(facts, tuple(methods), _run_scores(facts, rows, tuple(ids))).cells(reference)


@dataclass(frozen=True, eq=False)
class _RunScores:
    """One scorer's numbers, by the index of a run.

    Attributes:
        mean: Of some runs, or of their paired differences from as many others.
        remark: On some runs: prompts without a number, or what the scorer noted of the sets; may be empty.
        complete: Which runs lack at most 1 %.
        counts: Numbers of each run.
        missing: Failures of each run.
        lacks: Why each run would be left out.
        ids: Of the runs.
    """

    mean: Callable[[IntArray, IntArray | None], Difference]
    remark: Callable[[IntArray], str]
    complete: BoolArray
    counts: IntArray
    missing: IntArray
    lacks: tuple[str, ...]
    ids: tuple[str, ...]


def _run_scores(facts: ScorerColumn, rows: pd.DataFrame, ids: tuple[str, ...]) -> _RunScores:
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
            f"{count} of {means.shape[1]} prompts left out, for which some run has no number" if count else ""
        )

    share = missing_share(failed)
    counts, missing = (~np.isnan(cells)).sum(axis=(1, 2)), failed.sum(axis=(1, 2))
    return _RunScores(
        mean,
        remark,
        share <= MAX_SHARE,
        counts,
        missing,
        tuple(f"{100 * s:.1f} % missing" for s in share),
        ids,
    )


def _of_sets(rows: pd.DataFrame, ids: tuple[str, ...]) -> _RunScores:
    found = set_values_of(rows, ids)
    value, leave_out = found.value, found.leave_out

    def mean(runs: IntArray, others: IntArray | None) -> Difference:
        if others is None:
            return set_mean_over_runs(value[runs], leave_out[:, runs])
        return set_mean_over_runs(value[runs] - value[others], leave_out[:, runs] - leave_out[:, others])

    whole = rows[rows["prompt_id"].isna()]
    note_of = dict(zip(whole["checkpoint"], whole["note"], strict=True))
    notes = tuple(note_of.get(id_, "no row") for id_ in ids)
    there = ~np.isnan(value)
    failed = ~there & ~np.array([note.startswith(UNDEFINED) for note in notes])

    def remark(runs: IntArray) -> str:
        return "; ".join(dict.fromkeys(notes[i] for i in runs if notes[i]))

    return _RunScores(mean, remark, there, there.astype(np.int64), failed.astype(np.int64), notes, ids)


@dataclass(frozen=True)
class _MethodColumn:
    facts: ScorerColumn
    methods: tuple[Method, ...]
    scores: _RunScores

    def cells(self, reference: Method) -> tuple[LeaderboardCell, ...]:
        at = self.methods.index(reference)
        differences = [self._difference(method, reference) for method in self.methods]
        differences[at] = UNKNOWN
        p = holm(np.array([difference.p_value for difference in differences]))
        groups = self._groups()
        return tuple(
            self._cell(method, differences[i], float(p[i]), int(groups[i]))
            for i, method in enumerate(self.methods)
        )

    def _cell(self, method: Method, difference: Difference, p: float, group: int) -> LeaderboardCell:
        runs = [self.scores.ids.index(run.id) for run in method.runs]
        complete = self._runs(method)
        mean = self._mean(method).interval().within(self.facts.bounds)
        interval = difference.interval()
        known = not np.isnan(difference.se)
        return LeaderboardCell(
            scorer=self.facts.name,
            mean=or_none(mean.value),
            lo=or_none(mean.lo),
            hi=or_none(mean.hi),
            difference=or_none(difference.value),
            difference_lo=or_none(interval.lo),
            difference_hi=or_none(interval.hi),
            p_value=or_none(p),
            group=group or None,
            n=int(self.scores.counts[list(complete.values())].sum()),
            n_missing=int(self.scores.missing[runs].sum()),
            note=self._note(method, list(complete.values())),
            detectable=minimum_detectable_effect(difference.se, difference.df) if known else None,
        )

    def _note(self, method: Method, complete: Sequence[int]) -> str:
        """The scorer's remark, the runs that have left, and the end of a claim without them."""
        runs = (self.scores.ids.index(run.id) for run in method.runs)
        left = [f"{self.scores.ids[i]} ({self.scores.lacks[i]})" for i in runs if not self.scores.complete[i]]
        notes = [self.scores.remark(np.array(complete))] if complete else []
        notes += [f"left out: {', '.join(left)}"] if left else []
        if not method.is_base and len(complete) < _least(method) <= len(method.seeds):
            notes.append(f"{len(complete)} training seeds are left, no claim about methods")
        return "; ".join(note for note in notes if note)

    def _mean(self, method: Method) -> Difference:
        runs = self._runs(method)
        if not runs:
            return UNKNOWN
        mean = self.scores.mean(np.array(list(runs.values())), None)
        return mean if method.is_base or len(runs) >= SEEDS_FOR_AN_INTERVAL else _without_error(mean)

    def _difference(self, one: Method, other: Method) -> Difference:
        ours, theirs = self._runs(one), self._runs(other)
        if not ours or not theirs:
            return UNKNOWN
        if one.is_base:
            ours = dict.fromkeys(theirs, ours[None])
        elif other.is_base:
            theirs = dict.fromkeys(ours, theirs[None])
        shared = [seed for seed in ours if seed in theirs]
        if not shared:
            return _without_error(replace(UNKNOWN, value=self._mean(one).value - self._mean(other).value))
        pairs = np.array([[runs[seed] for seed in shared] for runs in (ours, theirs)])
        difference = self.scores.mean(*pairs)
        least = 0 if one.is_base and other.is_base else max(_least(one), _least(other))
        return difference if len(shared) >= least else _without_error(difference)

    def _runs(self, method: Method) -> dict[int | None, int]:
        """Index of each run that is left, by training seed; None for one whose seed is not varied."""
        at = [self.scores.ids.index(run.id) for run in method.runs]
        seeds = method.seeds or (None,)
        return {seed: i for seed, i in zip(seeds, at, strict=True) if self.scores.complete[i]}

    def _groups(self) -> IntArray:
        """Tie groups of the methods with seeds enough; 0 for the others, and where fewer than two have."""
        enough = np.flatnonzero(
            [
                bool(complete := self._runs(method)) and (method.is_base or len(complete) >= _least(method))
                for method in self.methods
            ]
        )
        groups = np.zeros(len(self.methods), dtype=np.int64)
        if enough.size < 2:
            return groups
        p_worse = np.ones((enough.size, enough.size))
        sign = 1.0 if self.facts.higher_is_better else -1.0
        for i, j in zip(*np.triu_indices(enough.size, k=1), strict=True):
            lead = self._difference(self.methods[enough[j]], self.methods[enough[i]])
            # One-sided; an unknown error is no evidence.
            if lead.p_value <= 1 and lead.value != 0:
                p_worse[(i, j) if sign * lead.value > 0 else (j, i)] = lead.p_value / 2

        def best_among(left: IntArray) -> BoolArray:
            at = (1 - LEVEL) / max(1, left.size - 1)
            stays: BoolArray = p_worse[np.ix_(left, left)].min(axis=1) >= at
            # Pairs that share different seeds may beat each other in a circle.
            return stays | ~stays.any()

        groups[enough] = tie_groups(best_among, enough.size)
        return groups


def _least(method: Method) -> int:
    return seeds_for_a_claim(method.runs[0].base_model)


def _without_error(difference: Difference) -> Difference:
    return Difference(difference.value, UNKNOWN.se, UNKNOWN.df)
