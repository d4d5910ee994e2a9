"""The leaderboard's numbers by what a prompt is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.leaderboard.grid import cells_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.cells import paired_differences, prompt_means
from benchmark.stats.intervals import Interval, mean_intervals


@dataclass(frozen=True)
class TagRow:
    """One scorer's word on one checkpoint, on the prompts of one tag.

    Attributes:
        tag: Such as ``count_2`` or ``relation``.
        scorer: Name of the scorer, of unit image or prompt.
        checkpoint: Id.
        mean: Mean over the tag's prompts, within the scorer's bounds; its `n` is their number.
        difference: Paired difference to the reference on them, in the scorer's own sign; None for the
            reference itself.
    """

    tag: str
    scorer: str
    checkpoint: str
    mean: Interval
    difference: Interval | None


def by_tag(
    table: ScoreTable,
    tags: Mapping[str, Sequence[str]],
    reference: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[TagRow, ...]:
    """Means and paired differences on the prompts of each tag.

    A prompt counts under each of its tags. These are many comparisons on few prompts, made to see where an
    effect comes from: they have intervals and no p values.

    Args:
        table: Scores.
        tags: Tags by prompt id, as a prompt set has them; a prompt that is not named has none.
        reference: Id of the checkpoint that the others are compared with.
        resamples: Bootstrap resamples.
        seed: Seed of the draws.

    Returns:
        By tag (in the alphabet's order), scorer and checkpoint; only tags of at least one scored prompt.
    """
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    at = ids.index(reference)
    facts = [column for column in table.columns if column.unit != "set"]
    columns = [_by_prompt(table.rows[table.rows["scorer"] == f.name], ids, at) for f in facts]
    if not columns:
        return ()
    # One table of all prompts and columns, so that the draws of a tag are made once.
    x = pd.concat(columns, axis=1, keys=range(len(columns)))
    found = []
    for tag in sorted({tag for own in tags.values() for tag in own}):
        chosen = [prompt for prompt in x.index if tag in tags.get(prompt, ())]
        if not chosen:
            continue
        intervals = iter(mean_intervals(x.loc[chosen].to_numpy(), resamples=resamples, seed=seed))
        for column in facts:
            means = [next(intervals).within(column.bounds) for _ in ids]
            differences = [next(intervals) for _ in ids]
            for i, checkpoint in enumerate(ids):
                difference = None if i == at else differences[i]
                found.append(TagRow(tag, column.name, checkpoint, means[i], difference))
    return tuple(found)


def _by_prompt(rows: pd.DataFrame, ids: Sequence[str], reference: int) -> pd.DataFrame:
    """Means, then paired differences, of every checkpoint; one line a prompt."""
    cells = cells_of(rows, ids)
    both = np.hstack([prompt_means(cells).T, paired_differences(cells, cells[reference]).T])
    return pd.DataFrame(both, index=sorted(rows["prompt_id"].unique()))
