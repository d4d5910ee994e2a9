"""One scorer's column of the leaderboard: statistics in, cells out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.core.records import UNDEFINED, LeaderboardCell, ScorerColumn
from benchmark.leaderboard.score_arrays import SetValues, cells_of, failed_of, or_none, set_values_of
from benchmark.stats.arrays import BoolArray, FloatArray, IntArray
from benchmark.stats.best import comparison_of_leads, not_worse_than_best_jackknife, tie_groups
from benchmark.stats.cells import MAX_SHARE, missing_share, order_is_fragile, paired_differences, prompt_means
from benchmark.stats.intervals import Interval, mean_intervals
from benchmark.stats.jackknife import jackknife_interval, t_test_p
from benchmark.stats.p_values import flips_needed, holm, sign_flip_p
from benchmark.stats.power import minimum_detectable_effect
from benchmark.stats.win_rate import win_rate

FRAGILE = "order could change with the missing rows"


@dataclass(frozen=True)
class _Estimates:
    means: Sequence[Interval]
    differences: Sequence[Interval]
    p: FloatArray
    winrates: Sequence[float]
    groups: IntArray
    counts: IntArray
    missing: IntArray
    notes: Sequence[str]


def column_cells(
    facts: ScorerColumn,
    rows: pd.DataFrame,
    ids: Sequence[str],
    reference: str,
    *,
    resamples: int,
) -> tuple[LeaderboardCell, ...]:
    """The cells of one scorer, one a checkpoint, in order.

    Args:
        facts: Which scorer.
        rows: Its rows.
        ids: The checkpoints.
        reference: Id of the one that the others are compared with.
        resamples: Bootstrap resamples.
    """
    at = ids.index(reference)
    if facts.unit != "set":
        cells, failed = cells_of(rows, ids), failed_of(rows, ids)
        return _sampled_cells(facts, cells, failed, at, resamples=resamples)
    whole = rows[rows["prompt_id"].isna()]
    notes = dict(zip(whole["checkpoint"], whole["note"], strict=True))
    return _set_cells(facts, set_values_of(rows, ids), at, [notes.get(i, "no row") for i in ids])


def _sampled_cells(
    facts: ScorerColumn,
    cells: FloatArray,
    failed: BoolArray,
    reference: int,
    *,
    resamples: int,
) -> tuple[LeaderboardCell, ...]:
    """The cells of a scorer of unit image or prompt.

    Args:
        facts: Which scorer.
        cells: Shape (checkpoints, prompts, images), ``NaN`` where there is no number.
        failed: Which of these gaps are failures; the others are numbers that do not exist.
        reference: Index of the checkpoint that the others are compared with.
        resamples: Bootstrap resamples.

    Returns:
        Its cells, one a checkpoint, in order.
    """
    count = cells.shape[0]
    share = missing_share(failed)
    ranked = np.flatnonzero(share <= MAX_SHARE)
    fragile = np.zeros(count, dtype=np.bool_)
    if failed[ranked].any():
        fragile[ranked] = order_is_fragile(cells[ranked])
    differences = paired_differences(cells, cells[reference]).T
    both = np.hstack([prompt_means(cells).T, differences])
    intervals = mean_intervals(both, resamples=resamples)
    sign = 1.0 if facts.higher_is_better else -1.0
    leads = _leads(sign * cells[ranked])
    shared = int((~np.isnan(leads)).sum(axis=0).max(initial=0))

    best_among = comparison_of_leads(leads, ranked.size, resamples=resamples)
    p = sign_flip_p(differences, flips=flips_needed(count - 1))
    by_image = facts.unit == "image"
    return _cells(
        facts,
        reference,
        _Estimates(
            means=intervals[:count],
            differences=intervals[count:],
            p=p,
            winrates=[
                win_rate(c, cells[reference], higher_is_better=facts.higher_is_better)
                if by_image
                else float("nan")
                for c in cells
            ],
            groups=_spread(tie_groups(best_among, ranked.size), ranked, count, shared),
            counts=(~np.isnan(cells)).sum(axis=(1, 2)),
            missing=failed.sum(axis=(1, 2)),
            notes=[_gap_note(s, bool(f)) for s, f in zip(share, fragile, strict=True)],
        ),
    )


def _set_cells(
    facts: ScorerColumn, values: SetValues, reference: int, notes: Sequence[str]
) -> tuple[LeaderboardCell, ...]:
    """The cells of a scorer of unit set.

    Args:
        facts: Which scorer.
        values: Whole-set and leave-one-group-out values.
        reference: Index of the checkpoint that the others are compared with.
        notes: What the scorer noted on each checkpoint's row.

    Returns:
        Its cells, one a checkpoint, in order.
    """
    value, leave_out = values.value, values.leave_out
    count = value.size
    lead, lead_out = value - value[reference], leave_out - leave_out[:, [reference]]
    differences = [_jackknifed(lead[i], lead_out[:, i]) for i in range(count)]
    complete = ~np.isnan(value) & ~np.isnan(leave_out).any(axis=0)
    undefined = np.array([note.startswith(UNDEFINED) for note in notes])
    ranked = np.flatnonzero(complete)
    sign = 1.0 if facts.higher_is_better else -1.0

    def best_among(left: IntArray) -> BoolArray:
        chosen = ranked[left]
        return not_worse_than_best_jackknife(sign * value[chosen], sign * leave_out[:, chosen])

    return _cells(
        facts,
        reference,
        _Estimates(
            means=[_jackknifed(value[i], leave_out[:, i]) for i in range(count)],
            differences=differences,
            p=np.array([t_test_p(d) for d in differences]),
            winrates=[float("nan")] * count,
            groups=_spread(tie_groups(best_among, ranked.size), ranked, count, len(leave_out)),
            counts=(~np.isnan(value)).astype(np.int64),
            missing=(np.isnan(value) & ~undefined).astype(np.int64),
            notes=notes,
        ),
    )


def _cells(facts: ScorerColumn, reference: int, estimates: _Estimates) -> tuple[LeaderboardCell, ...]:
    p = estimates.p.copy()
    p[reference] = np.nan
    adjusted = holm(p)
    cells = []
    by_prompt = facts.unit != "set"
    for i, estimate in enumerate(estimates.means):
        mean = estimate.within(facts.bounds)
        difference = estimates.differences[i]
        itself = i == reference
        group = int(estimates.groups[i])
        cells.append(
            LeaderboardCell(
                scorer=facts.name,
                mean=or_none(mean.value),
                lo=or_none(mean.lo),
                hi=or_none(mean.hi),
                difference=None if itself else or_none(difference.value),
                difference_lo=None if itself else or_none(difference.lo),
                difference_hi=None if itself else or_none(difference.hi),
                p_value=or_none(float(adjusted[i])),
                winrate=None if itself else or_none(estimates.winrates[i]),
                group=group or None,
                n=int(estimates.counts[i]),
                n_missing=int(estimates.missing[i]),
                note=estimates.notes[i],
                detectable=None if itself else _detectable(difference),
                n_prompts=estimate.n if by_prompt else None,
                difference_n_prompts=difference.n if by_prompt and not itself else None,
            )
        )
    return tuple(cells)


def _detectable(difference: Interval) -> float | None:
    return None if np.isnan(difference.se) else minimum_detectable_effect(difference.se, difference.n - 1)


def _leads(cells: FloatArray) -> FloatArray:
    """Differences of all pairs on the cells that both have, prompts first; none without any pair."""
    missing = np.isnan(cells)
    blocks = [np.empty((0, cells.shape[1]))]
    for i in range(len(cells) - 1):
        gap = missing[i] | missing[i + 1 :]
        ours = prompt_means(np.where(gap, np.nan, cells[i]))
        blocks.append(ours - prompt_means(np.where(gap, np.nan, cells[i + 1 :])))
    leads = np.concatenate(blocks)
    shared: FloatArray = np.compress(~np.isnan(leads).all(axis=0), leads, axis=1).T
    return shared


def _spread(groups: IntArray, ranked: IntArray, count: int, support: int) -> IntArray:
    """Groups of all checkpoints, 0 for those not ranked, or where there is nothing to compare."""
    spread = np.zeros(count, dtype=np.int64)
    if ranked.size > 1 and support > 1:
        spread[ranked] = groups
    return spread


def _jackknifed(value: float, leave_out: FloatArray) -> Interval:
    gaps = np.isnan(leave_out).any()
    return jackknife_interval(float(value), leave_out[:0] if gaps else leave_out)


def _gap_note(share: float, fragile: bool) -> str:
    if share > MAX_SHARE:
        return f"not ranked: {100 * share:.1f} % missing"
    return FRAGILE if fragile else ""
