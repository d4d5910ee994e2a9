"""Win rates of a table with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import ScorerColumn
from benchmark.leaderboard.score_arrays import cells_of, or_none
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.win_rate import win_rate_intervals


@dataclass(frozen=True)
class WinRate:
    """How often a checkpoint beats the reference on the same prompt and seed.

    Attributes:
        scorer: Who judges.
        title: What people read of it: a toy model is called so.
        checkpoint: Id of the candidate.
        share: Of (prompt, k) pairs won, ties half; None without a common pair.
        lo: Lower end of its 95 % interval, clustered by prompt; None with fewer than two prompts.
        hi: Upper end.
        n_prompts: Prompts with a pair.
    """

    scorer: str
    title: str
    checkpoint: str
    share: float | None
    lo: float | None
    hi: float | None
    n_prompts: int


def win_rates_of(
    table: ScoreTable,
    *,
    reference: str | None = None,
    scorers: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> tuple[WinRate, ...]:
    """The win rates of all checkpoints but the reference, scorer by scorer.

    Args:
        table: Scores.
        reference: Id of the checkpoint they are won against; by default the
            first base model, or the first checkpoint where there is none.
        scorers: Which, of unit image; by default all of them, those that the suite declares primary first.
        resamples: Bootstrap resamples.

    Raises:
        UnknownNameError: For a reference or a scorer that the table lacks.
        UserError: If no scorer gives every image a number, or nothing stands beside the reference.
    """
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    reference_id = reference or table.base() or ids[0]
    if reference_id not in ids:
        raise UnknownNameError("reference checkpoint", reference_id, ids)
    if len(ids) < 2:
        raise UserError(
            f"there is no checkpoint beside {reference_id}",
            do="name an evaluation of at least two checkpoints",
        )
    found = []
    for column in _by_image(table, scorers):
        cells = cells_of(table.rows_of(column.name), ids)
        others = [id_ for id_ in ids if id_ != reference_id]
        intervals = win_rate_intervals(
            cells[[ids.index(id_) for id_ in others]], cells[ids.index(reference_id)],
            higher_is_better=column.higher_is_better, resamples=resamples,
        )  # fmt: skip
        for id_, interval in zip(others, intervals, strict=True):
            share, lo, hi = (or_none(end) for end in (interval.value, interval.lo, interval.hi))
            found.append(WinRate(column.name, column.label, id_, share, lo, hi, interval.n))
    return tuple(found)


def rate_lines(rates: Sequence[WinRate]) -> list[tuple[str, ...]]:
    """The numbers as lines of a table, under a heading."""
    lines: list[tuple[str, ...]] = [("scorer", "checkpoint", "share won", "95 % interval", "prompts")]
    for rate in rates:
        share = "-" if rate.share is None else f"{rate.share:.3f}"
        ends = "-" if rate.lo is None or rate.hi is None else f"{rate.lo:.3f} .. {rate.hi:.3f}"
        lines.append((rate.title, rate.checkpoint, share, ends, str(rate.n_prompts)))
    return lines


def _by_image(table: ScoreTable, scorers: Sequence[str] | None) -> list[ScorerColumn]:
    columns = {
        c.name: c for c in table.columns if c.unit == "image" and c.axis not in ("distance", "texture")
    }
    if not columns:
        raise UserError(
            "no scorer of this evaluation gives every image a number that can win",
            do="evaluate with a scorer of unit image, such as clip",
        )
    for name in scorers or ():
        if name not in columns:
            raise UnknownNameError("scorer of single images", name, columns)
    if scorers:
        return [columns[name] for name in dict.fromkeys(scorers)]
    return sorted(columns.values(), key=lambda column: not column.primary)
