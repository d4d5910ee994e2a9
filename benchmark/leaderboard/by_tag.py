"""The leaderboard's numbers by what a prompt is about."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.core.records import Prompt, TagCell
from benchmark.leaderboard.score_arrays import cells_of, or_none
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.cells import paired_differences, prompt_means
from benchmark.stats.intervals import mean_intervals


def tag_cells(
    table: ScoreTable,
    tags: Mapping[str, Sequence[str]],
    reference: str,
    *,
    resamples: int = RESAMPLES,
) -> tuple[TagCell, ...]:
    """Means and paired differences on the prompts of each tag.

    A prompt counts under each of its tags. These are many comparisons on few prompts, made to see where an
    effect comes from: they have intervals and no p values.

    Args:
        table: Scores.
        tags: Tags by prompt id, as a prompt set has them; a prompt that is not named has none.
        reference: Id of the checkpoint that the others are compared with.
        resamples: Bootstrap resamples.

    Returns:
        By tag (in the alphabet's order), scorer and checkpoint; only tags of at least one scored prompt.
    """
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    at = ids.index(reference)
    facts = [column for column in table.columns if column.unit != "set"]
    columns = [_by_prompt(table.rows_of(f.name), ids, at) for f in facts]
    if not columns:
        return ()
    # One table of all prompts and columns, so that the draws of a tag are made once.
    x = pd.concat(columns, axis=1, keys=range(len(columns)))
    found = []
    for tag in sorted({tag for own in tags.values() for tag in own}):
        chosen = [prompt for prompt in x.index if tag in tags.get(prompt, ())]
        if not chosen:
            continue
        intervals = iter(mean_intervals(x.loc[chosen].to_numpy(), resamples=resamples))
        for column in facts:
            means = [next(intervals) for _ in ids]
            differences = [next(intervals) for _ in ids]
            for i, checkpoint in enumerate(ids):
                lead = [or_none(v) for v in (differences[i].value, differences[i].lo, differences[i].hi)]
                value, lo, hi = (None, None, None) if i == at else lead
                mean = or_none(means[i].value)
                cell = TagCell(tag, column.name, checkpoint, means[i].n, mean, value, lo, hi)
                found.append(cell)
    return tuple(found)


def prompt_tags(prompt: Prompt) -> tuple[str, ...]:
    """The tags of a prompt, its style included."""
    return (*prompt.tags, *((f"style: {prompt.style}",) if prompt.style else ()))


def _by_prompt(rows: pd.DataFrame, ids: Sequence[str], reference: int) -> pd.DataFrame:
    """Means, then paired differences, of every checkpoint; one line a prompt."""
    cells = cells_of(rows, ids)
    both = np.hstack([prompt_means(cells).T, paired_differences(cells, cells[reference]).T])
    return pd.DataFrame(both, index=sorted(rows["prompt_id"].unique()))
