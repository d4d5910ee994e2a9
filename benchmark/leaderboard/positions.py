"""Where checkpoints stand in the plane of two scorers: each mean over the prompts that it has."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.core.records import ScorerColumn
from benchmark.leaderboard.grid import cells_of, failed_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import FloatArray, IntArray
from benchmark.stats.cells import over_own_prompts, own_means, prompt_means
from benchmark.stats.missing import MAX_SHARE, missing_share
from benchmark.stats.region import Region, joint_region

_PROMPTS_FOR_A_REGION = 3


@dataclass(frozen=True, eq=False)
class Positions:
    """The means of some checkpoints on two scorers, with what it takes to say how sure they are.

    Attributes:
        ids: The checkpoints.
        means: Of a table's cells, shape (checkpoints, 2).
        n: Prompts behind each, same shape.
        z: Values without gaps that have these means and their standard errors, shape
            (prompts, checkpoints, 2): see :func:`benchmark.stats.cells.over_own_prompts`.
    """

    ids: tuple[str, ...]
    means: FloatArray
    n: IntArray
    z: FloatArray

    def region(self, checkpoint: str, reference: str, *, resamples: int, seed: int) -> Region | None:
        """Joint region of a checkpoint's two means less the reference's, under one resampling of prompts.

        Args:
            checkpoint: Its id.
            reference: The other's.
            resamples: Bootstrap resamples.
            seed: Seed of the draws.

        Returns:
            The region; None where one of the four means is over fewer than three prompts.
        """
        i, at = self.ids.index(checkpoint), self.ids.index(reference)
        if self.n[[i, at]].min() < _PROMPTS_FOR_A_REGION:
            return None
        return joint_region(self.z[:, i] - self.z[:, at], resamples=resamples, seed=seed)


def positions_of(table: ScoreTable, facts: Sequence[ScorerColumn]) -> Positions:
    """Where the ranked checkpoints of a table stand.

    Args:
        table: Scores.
        facts: Two scorers of unit image or prompt.

    Returns:
        The checkpoints that at most 1 % is missing for on either scorer and that have a number on both.
    """
    columns = [_own_values(table, column) for column in facts]
    ranked = [c.id for c in table.checkpoints if all(c.id in values.columns for values in columns)]
    ids = tuple(id_ for id_ in ranked if all(values[id_].notna().any() for values in columns))
    prompts = columns[0].index.union(columns[1].index)
    x = np.stack([values[list(ids)].reindex(prompts).to_numpy() for values in columns], axis=2)
    x = x[~np.isnan(x).all(axis=(1, 2))]
    return Positions(ids, own_means(x), (~np.isnan(x)).sum(axis=0), over_own_prompts(x))


def _own_values(table: ScoreTable, column: ScorerColumn) -> pd.DataFrame:
    """A line a prompt, a column for each ranked checkpoint, ``NaN`` where there is no number."""
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    rows = table.rows[table.rows["scorer"] == column.name]
    ranked = missing_share(failed_of(rows, ids)) <= MAX_SHARE
    kept = [id_ for id_, keep in zip(ids, ranked, strict=True) if keep]
    means = prompt_means(cells_of(rows, ids)[ranked])
    return pd.DataFrame(means.T, index=sorted(rows["prompt_id"].unique()), columns=kept)
