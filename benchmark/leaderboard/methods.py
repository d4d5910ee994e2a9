"""The leaderboard of methods: training runs that are alike but for their seed become one row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell, LeaderboardRow, ScorerColumn
from benchmark.leaderboard.build import sizes_of
from benchmark.leaderboard.grid import or_none
from benchmark.leaderboard.join import join_tables
from benchmark.leaderboard.notes import reach_and_scope
from benchmark.leaderboard.run_scores import RunScores, run_scores
from benchmark.leaderboard.same_method import Method, find_method, methods_of, seeds_for_a_claim
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import LEVEL, BoolArray, IntArray
from benchmark.stats.best import tie_groups
from benchmark.stats.holm import holm
from benchmark.stats.methods import NO_CLAIM, UNKNOWN, Difference
from benchmark.stats.missing import MAX_SHARE
from benchmark.stats.power import minimum_detectable_effect

SEEDS_FOR_AN_INTERVAL = 3
"""Training seeds below which a method's mean has no interval: in a simulation that of two covered 87 %."""

_SEEDS = "seeds"
_INTERVALS = (
    "A row is a method: training runs that are alike but for their seed. Intervals are 95 %, Student's t, of "
    "means over training seeds and prompts, with both in the error (set metrics: prompts by a jackknife over "
    "20 groups of them); a base model has no training seed, and its interval is over prompts."
)
_TESTS = (
    "on the prompts that every run of both has a number for; p by t, Holm-adjusted over the methods within "
    "each scorer."
)
_GROUPS = (
    "Bold is the group that may be the best: t on shared seeds, Bonferroni over pairs, among methods with "
    "seeds enough for a claim."
)

_NO_GROUPS = "No tie groups and no bold: fewer than two methods have seeds enough for a claim."


def build_method_leaderboard(
    tables: Sequence[ScoreTable], *, reference: str | None = None, scorers: Sequence[str] = ()
) -> Leaderboard:
    """Means of methods, their differences from a reference, and tie groups, over training seeds and prompts.

    A pure function of the tables. A difference is paired by training seed, prompt and image; a base model is
    the same for every seed. It has an interval and a p if the two share at least eight training seeds in
    `shapes`, five elsewhere. A run with more than 1 % of a scorer's values missing leaves that scorer's
    column, and is named.

    Args:
        tables: Score tables with equal signatures.
        reference: Method that the others are compared with, see
            :func:`benchmark.leaderboard.same_method.find_method`; by default the first base model, or the
            first method where there is none.
        scorers: As of :func:`benchmark.leaderboard.build_leaderboard`.

    Returns:
        One row a method, its `checkpoint` made up: the id is the method's name with the number of seeds, the
        hyperparameters are those in which its runs agree, and their `seeds`. No planes, gaps or tags.

    Raises:
        NotComparableError: If the tables must not be joined.
        UnknownNameError: If the reference is not among the methods.
        UserError: If two runs of one method have the same training seed, or several methods are called like
            the reference.
    """
    table = join_tables(tables, scorers)
    methods = methods_of(table.checkpoints)
    bases = [method for method in methods if method.is_base]
    against = (bases or methods)[0] if reference is None else find_method(reference, methods)
    by_scorer = dict(iter(table.rows.groupby("scorer", sort=False)))
    ids = tuple(checkpoint.id for checkpoint in table.checkpoints)
    cells = []
    for facts in table.columns:
        scores = run_scores(facts, by_scorer.get(facts.name, table.rows[:0]), ids)
        cells.append(_Column(facts, methods, scores).cells(against))
    rows = tuple(_rows(table, methods, cells))
    columns = tuple(
        replace(
            column,
            in_domain=tuple(m.title for m in methods if {run.id for run in m.runs} & set(column.in_domain)),
        )
        for column in table.columns
    )
    return Leaderboard(
        suite=table.suite,
        rows=rows,
        built_from=tuple(t.source for t in tables if t.source),
        columns=columns,
        reference=against.title,
        signature=table.signature,
        notes=(*method_notes(columns, rows, against.title), *table.remarks),
    )


def method_notes(
    columns: Sequence[ScorerColumn], rows: Sequence[LeaderboardRow], reference: str
) -> tuple[str, ...]:
    """As :func:`benchmark.leaderboard.notes.notes_of`, of a leaderboard of methods.

    Args:
        columns: The scorers that are shown.
        rows: All methods that were tested.
        reference: Id of the reference method.

    Returns:
        One sentence a note.
    """
    grouped = any(cell.group for row in rows for cell in row.cells)
    return (
        _INTERVALS,
        f"Differences are from {reference}, paired by training seed and prompt, {_TESTS}",
        _GROUPS if grouped else _NO_GROUPS,
        *reach_and_scope(columns, rows),
        *_claims(rows, reference),
    )


def _claims(rows: Sequence[LeaderboardRow], reference: str) -> list[str]:
    """Which differences are no claim about methods, and why."""
    against = next(row.checkpoint for row in rows if row.checkpoint.id == reference)
    trained = [row.checkpoint for row in rows if not row.checkpoint.is_base]
    if trained and max(len(_seeds(method)) for method in trained) <= 1:
        return [NO_CLAIM]
    least = seeds_for_a_claim(against.base_model)
    compared = (
        trained if against.is_base else [row.checkpoint for row in rows if row.checkpoint.id != reference]
    )
    few = "; ".join(method.id for method in compared if _shared(method, against) < least)
    if not few:
        return []
    of = "" if against.is_base else f" shared with {reference}"
    return [f"Fewer than {least} training seeds{of}, so no claim about methods: {few}."]


def _shared(one: Checkpoint, other: Checkpoint) -> int:
    """Training seeds of both; a base model shares any."""
    return len(set.intersection(*(_seeds(method) for method in (one, other) if not method.is_base)))


def _seeds(method: Checkpoint) -> set[str]:
    return set(str(method.hyperparameters.get(_SEEDS, "unknown")).split())


@dataclass(frozen=True)
class _Column:
    facts: ScorerColumn
    methods: tuple[Method, ...]
    scores: RunScores

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
        kept = self._runs(method)
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
            n=int(self.scores.counts[list(kept.values())].sum()),
            n_missing=int(self.scores.missing[runs].sum()),
            note=self._note(method, list(kept.values())),
            detectable=minimum_detectable_effect(difference.se, difference.df) if known else None,
        )

    def _note(self, method: Method, kept: Sequence[int]) -> str:
        """What the scorer says, who has left, and what that does to claims."""
        runs = (self.scores.ids.index(run.id) for run in method.runs)
        left = [f"{self.scores.ids[i]} ({self.scores.lacks[i]})" for i in runs if not self.scores.kept[i]]
        notes = [self.scores.remark(np.array(kept))] if kept else []
        notes += [f"left out: {', '.join(left)}"] if left else []
        if not method.is_base and len(kept) < _least(method) <= len(method.seeds):
            notes.append(f"{len(kept)} training seeds are left, no claim about methods")
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
        return {seed: i for seed, i in zip(seeds, at, strict=True) if self.scores.kept[i]}

    def _groups(self) -> IntArray:
        """Tie groups of the methods with seeds enough; 0 for the others, and where fewer than two have."""
        enough = np.flatnonzero(
            [
                bool(kept := self._runs(method)) and (method.is_base or len(kept) >= _least(method))
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


def _rows(
    table: ScoreTable, methods: Sequence[Method], columns: Sequence[Sequence[LeaderboardCell]]
) -> Iterator[LeaderboardRow]:
    n_prompts, n_images = sizes_of(table)
    for i, method in enumerate(methods):
        cells = tuple(column[i] for column in columns)
        missing = sum(cell.n_missing for cell in cells)
        yield LeaderboardRow(
            checkpoint=_as_checkpoint(method),
            n_prompts=max(n_prompts.get(run.id, 0) for run in method.runs),
            n_images=sum(n_images.get(run.id, 0) for run in method.runs),
            n_missing=missing,
            cells=cells,
            ranked=missing <= MAX_SHARE * (missing + sum(cell.n for cell in cells)),
        )


def _as_checkpoint(method: Method) -> Checkpoint:
    first, *others = method.runs
    if not method.seeds:
        return first
    agreed = {
        name: value
        for name, value in first.hyperparameters.items()
        if all(name in run.hyperparameters and run.hyperparameters[name] == value for run in others)
    }
    agreed[_SEEDS] = " ".join(map(str, method.seeds))
    return replace(first, id=method.title, hyperparameters=agreed, revision=None, path=None)
