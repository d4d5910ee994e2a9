"""The leaderboard of one or several evaluations."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pandas as pd

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import (
    Checkpoint,
    Cost,
    Leaderboard,
    LeaderboardCell,
    LeaderboardRow,
    Plane,
    ScorerColumn,
)
from benchmark.leaderboard.columns import FRAGILE, sampled_column, set_column
from benchmark.leaderboard.grid import cells_of, failed_of, set_values_of
from benchmark.leaderboard.hacking import hacking_of
from benchmark.leaderboard.join import join_tables
from benchmark.leaderboard.notes import notes_of
from benchmark.leaderboard.plane import plane_of, primary_pairs
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.leaderboard.tags import by_tag
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.missing import MAX_SHARE


def build_leaderboard(
    tables: Sequence[ScoreTable],
    *,
    reference: str | None = None,
    scorers: Sequence[str] = (),
    tags: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Leaderboard:
    """Means with intervals, paired comparisons with the reference, and tie groups.

    A pure function of the tables: no model, no image, no clock.

    Args:
        tables: Score tables whose signatures agree, see :func:`benchmark.leaderboard.comparable.comparable`.
        reference: Id of the checkpoint that the others are compared with; by default the first
            base model, or the first checkpoint where there is none.
        scorers: Of several tables only these are compared; empty for all that every table has.
        tags: Whether to break the numbers down by what prompts are about, which takes as long again for
            each tag.
        resamples: Bootstrap resamples.
        seed: Seed of resamples and sign flips.

    Returns:
        One row a checkpoint, one cell for each of its scorers.

    Raises:
        NotComparableError: If the tables must not be joined.
        UnknownNameError: If the reference is not among the checkpoints.
        UserError: If tags are asked for and the tables know none.
    """
    table = join_tables(tables, scorers)
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    against = reference or _default_reference(table.checkpoints)
    if against not in ids:
        raise UnknownNameError("reference checkpoint", against, ids)
    if tags and not any(table.tags.values()):
        raise UserError(
            "no prompt of these evaluations has a tag",
            do="run the same `fbench eval` again if its prompt set has tags: older score tables lack them",
        )
    by_scorer = dict(iter(table.rows.groupby("scorer", sort=False)))
    columns = [
        _column(facts, by_scorer.get(facts.name, table.rows[:0]), ids, against, resamples, seed)
        for facts in table.columns
    ]
    base = table.base(against)
    rows = tuple(_rows(table, columns))
    return Leaderboard(
        suite=table.suite,
        rows=rows,
        built_from=tuple(t.source for t in tables if t.source),
        columns=table.columns,
        reference=against,
        signature=table.signature,
        notes=(*notes_of(table.columns, rows, against), *table.remarks),
        planes=tuple(_planes(table, against, resamples, seed)),
        gaps=() if base is None else hacking_of(table, base, resamples=resamples, seed=seed),
        by_tag=by_tag(table, table.tags, against, resamples=resamples, seed=seed) if tags else (),
    )


def _planes(table: ScoreTable, reference: str, resamples: int, seed: int) -> Iterator[Plane]:
    for across, upward in primary_pairs(table.columns):
        # Without a ranked reference or a common prompt there is a table, but no plane.
        with suppress(UserError):
            yield plane_of(table, across, upward, reference, resamples=resamples, seed=seed)


def _default_reference(checkpoints: Sequence[Checkpoint]) -> str:
    bases = [checkpoint for checkpoint in checkpoints if checkpoint.is_base]
    return (bases or list(checkpoints))[0].id


def _column(
    facts: ScorerColumn,
    rows: pd.DataFrame,
    ids: Sequence[str],
    reference: str,
    resamples: int,
    seed: int,
) -> tuple[LeaderboardCell, ...]:
    at = ids.index(reference)
    if facts.unit != "set":
        cells, failed = cells_of(rows, ids), failed_of(rows, ids)
        return sampled_column(facts, cells, failed, at, resamples=resamples, seed=seed)
    whole = rows[rows["prompt_id"].isna()]
    notes = dict(zip(whole["checkpoint"], whole["note"], strict=True))
    return set_column(facts, set_values_of(rows, ids), at, [notes.get(i, "no row") for i in ids])


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


def sizes_of(table: ScoreTable) -> tuple[dict[str, int], dict[str, int]]:
    """Prompts and images behind each checkpoint: those that some scorer gave a number to.

    Where no scorer works image by image, the design's size is all that is known.
    """
    by_image = table.rows[table.rows["seed"].notna()]
    if by_image.empty:
        ids = [checkpoint.id for checkpoint in table.checkpoints]
        designed = table.n_prompts * table.images_per_prompt
        return dict.fromkeys(ids, table.n_prompts), dict.fromkeys(ids, designed)
    scored = by_image[by_image["status"] == "ok"]
    images = Counter(scored.drop_duplicates(["checkpoint", "prompt_id", "seed"])["checkpoint"])
    prompts = Counter(scored.drop_duplicates(["checkpoint", "prompt_id"])["checkpoint"])
    return prompts, images
