"""The hacking index of an evaluation's checkpoints, and the three truths beside it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchmark.core.records import Gap, ScorerColumn
from benchmark.leaderboard.score_arrays import cells_of, or_none
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES, FloatArray
from benchmark.stats.hacking_index import gap_interval, standardised_gains
from benchmark.stats.intervals import Interval

TRUTHS = ("true_taste", "true_taste_heldout", "true_reward", "true_reward_heldout", "oracle")
"""The embedded world's truths: told apart from the scorers, never averaged with them."""

_GAPS = (
    ("proxy gap", "pickscore", "true_reward"),
    ("taste transfer", "true_taste", "true_taste_heldout"),
    ("content loss", None, "oracle"),
)


def reward_hacking_gaps(table: ScoreTable, base: str, *, resamples: int = RESAMPLES) -> tuple[Gap, ...]:
    """The gaps of every checkpoint but the base, as far as the table has the scorers.

    `hacking` compares each in-domain scorer of unit image or prompt with the mean of the scorers of its
    axis that are held out for this checkpoint; the world's truths are neither.

    Args:
        table: Scores of the base and of others.
        base: Id of the base model's checkpoint.
        resamples: Bootstrap resamples.

    Returns:
        In the order of the checkpoints; none for a scorer on which the base does not vary.
    """
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    at = ids.index(base)
    facts = {column.name: column for column in table.columns if column.unit != "set"}
    cells = {name: cells_of(table.rows_of(name), ids) for name in facts}
    found = []
    for i, checkpoint in enumerate(ids):
        if i == at:
            continue
        gains = {
            name: standardised_gains(x[i], x[at], higher_is_better=facts[name].higher_is_better)
            for name, x in cells.items()
        }
        known = {name: gain for name, gain in gains.items() if not np.isnan(gain).all()}
        for kind, gained, held_out in _gap_kinds(checkpoint, [facts[name] for name in known]):
            interval = _interval(known, gained, held_out, resamples)
            if not np.isnan(interval.value):
                ends = (or_none(interval.lo), or_none(interval.hi))
                value, n = interval.value, interval.n
                found.append(Gap(checkpoint, kind, gained or "", held_out, value, *ends, n))
    return tuple(found)


def _gap_kinds(
    checkpoint: str, columns: Sequence[ScorerColumn]
) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    learned = [column for column in columns if column.name not in TRUTHS]
    for column in learned:
        if checkpoint in column.in_domain:
            held_out = tuple(
                other.name
                for other in learned
                if other.axis == column.axis and checkpoint not in other.in_domain
            )
            if held_out:
                yield "hacking", column.name, held_out
    names = {column.name for column in columns}
    for kind, gained, truth in _GAPS:
        if truth in names and (gained is None or gained in names):
            yield kind, gained, (truth,)


def _interval(
    gains: Mapping[str, FloatArray], gained: str | None, held_out: Sequence[str], resamples: int
) -> Interval:
    held_out_gains = [gains[name] for name in held_out]
    own = np.zeros(held_out_gains[0].shape) if gained is None else gains[gained]
    return gap_interval(own, held_out_gains, resamples=resamples)
