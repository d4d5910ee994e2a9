"""The leaderboard of one or several evaluations."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from benchmark.core.console import doing
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import (
    Cost,
    Leaderboard,
    LeaderboardCell,
    LeaderboardRow,
    Plane,
)
from benchmark.leaderboard.by_tag import tag_cells
from benchmark.leaderboard.column_cells import FRAGILE, column_cells
from benchmark.leaderboard.join import join_tables
from benchmark.leaderboard.notes import notes_of
from benchmark.leaderboard.reward_hacking import reward_hacking_gaps
from benchmark.leaderboard.score_arrays import sizes_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.leaderboard.trade_off_plane import plane_of, primary_pairs
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.cells import MAX_SHARE


@doing("ranking")
def build_leaderboard(
    tables: Sequence[ScoreTable],
    *,
    reference: str | None = None,
    scorers: Sequence[str] = (),
    tags: bool = False,
    resamples: int = RESAMPLES,
) -> Leaderboard:
    """Means with intervals, paired comparisons with the reference, and tie groups.

    A pure function of the tables: no model, no image, no clock.

    Args:
        tables: Score tables whose signatures agree, see :func:`benchmark.leaderboard.join.comparable`.
        reference: Id of the checkpoint that the others are compared with; by default the first
            base model, or the first checkpoint where there is none.
        scorers: Of several tables only these are compared; empty for all that every table has.
        tags: Whether to break the numbers down by what prompts are about, which takes as long again for
            each tag.
        resamples: Bootstrap resamples.

    Returns:
        One row a checkpoint, one cell for each of its scorers.

    Raises:
        NotComparableError: If the tables must not be joined.
        UnknownNameError: If the reference is not among the checkpoints.
        UserError: If tags are asked for and the tables know none.
    """
    table = join_tables(tables, scorers)
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    reference_id = reference or table.base() or ids[0]
    if reference_id not in ids:
        raise UnknownNameError("reference checkpoint", reference_id, ids)
    if tags and not any(table.tags.values()):
        raise UserError(
            "no prompt of these evaluations has a tag",
            do="run the same `fbench eval` again if its prompt set has tags: older score tables lack them",
        )
    # One scorer's rows at a time: of a large evaluation all of them once more do not fit.
    columns = [
        column_cells(facts, table.rows_of(facts.name), ids, reference_id, resamples=resamples)
        for facts in table.columns
    ]
    base = table.base(reference_id)
    rows = tuple(_rows(table, columns))
    return Leaderboard(
        suite=table.suite,
        rows=rows,
        built_from=tuple(t.source for t in tables if t.source),
        columns=table.columns,
        reference=reference_id,
        signature=table.signature,
        notes=(*notes_of(table.columns, rows, reference_id), *table.remarks),
        planes=tuple(_planes(table, reference_id, resamples)),
        gaps=() if base is None else reward_hacking_gaps(table, base, resamples=resamples),
        by_tag=tag_cells(table, table.tags, reference_id, resamples=resamples) if tags else (),
    )


def _planes(table: ScoreTable, reference: str, resamples: int) -> Iterator[Plane]:
    for across, upward in primary_pairs(table.columns):
        # Without a ranked reference or a common prompt there is a table, but no plane.
        with suppress(UserError):
            yield plane_of(table, across, upward, reference, resamples=resamples)


def _rows(table: ScoreTable, columns: Sequence[tuple[LeaderboardCell, ...]]) -> Iterator[LeaderboardRow]:
    n_prompts, n_images = sizes_of(table)
    for i, checkpoint in enumerate(table.checkpoints):
        cells = tuple(column[i] for column in columns)
        missing = sum(cell.n_missing for cell in cells)
        expected = missing + sum(cell.n for cell in cells)
        fragile = [cell.scorer for cell in cells if cell.note == FRAGILE]
        yield LeaderboardRow(
            checkpoint=checkpoint,
            n_prompts=n_prompts.get(checkpoint.id, 0),
            n_images=n_images.get(checkpoint.id, 0),
            n_missing=missing,
            cells=cells,
            ranked=missing <= MAX_SHARE * expected,
            note=f"{FRAGILE}: {', '.join(fragile)}" if fragile else "",
            cost=table.costs.get(checkpoint.id, Cost()),
        )
