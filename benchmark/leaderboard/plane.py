"""The trade-off plane of a table: regions, the front's confidence set, support."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.core.errors import UnknownNameError
from benchmark.core.records import ScorerColumn
from benchmark.leaderboard.grid import cells_of, failed_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.cells import prompt_means
from benchmark.stats.front import front_set, front_support
from benchmark.stats.missing import MAX_SHARE, missing_share
from benchmark.stats.region import Region, joint_region


@dataclass(frozen=True)
class PlanePoint:
    """A checkpoint in the plane of two scorers.

    Attributes:
        checkpoint: Its id.
        region: Where its two means are together, in the scorers' own units and signs: the reference's
            means plus the region of the paired differences from it; None with fewer than three prompts.
        may_be_on_front: Whether it is in the 95 % confidence set of the Pareto front.
        support: Share of resamples in which it is on the front.
    """

    checkpoint: str
    region: Region | None
    may_be_on_front: bool
    support: float


def plane_of(
    table: ScoreTable,
    across: str,
    upward: str,
    reference: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[PlanePoint, ...]:
    """The checkpoints in the plane of two scorers, on the prompts that all of them have on both.

    Args:
        table: Scores.
        across: Scorer of the first axis, of unit image or prompt, such as one of diversity.
        upward: Scorer of the second axis, such as one of preference.
        reference: Id of the checkpoint that the differences are from.
        resamples: Bootstrap resamples.
        seed: Seed of the draws.

    Returns:
        One point a checkpoint, without those above 1 % missing on either scorer, which are not ranked.

    Raises:
        UnknownNameError: For a scorer without values of prompts, or a reference that is not ranked.
    """
    facts = [sampled_scorer(table, name) for name in (across, upward)]
    means = [_means(table, column) for column in facts]
    ids = [c.id for c in table.checkpoints if all(c.id in m.columns for m in means)]
    if reference not in ids:
        raise UnknownNameError("ranked reference checkpoint", reference, ids)
    both = [m[ids].dropna() for m in means]
    prompts = both[0].index.intersection(both[1].index)
    x = np.stack([b.loc[prompts].to_numpy() for b in both], axis=2)
    signs = np.array([1.0 if column.higher_is_better else -1.0 for column in facts])
    stays = front_set(signs * x, resamples=resamples, seed=seed)
    support = front_support(signs * x, resamples=resamples, seed=seed)
    at = ids.index(reference)
    points = []
    for i, id_ in enumerate(ids):
        region = joint_region(x[:, i] - x[:, at], resamples=resamples, seed=seed)
        if region is not None:
            centre = x[:, at].mean(axis=0) + region.centre
            region = Region(centre, region.covariance, region.q, region.n)
        points.append(PlanePoint(id_, region, bool(stays[i]), float(support[i])))
    return tuple(points)


def sampled_scorer(table: ScoreTable, name: str) -> ScorerColumn:
    """The facts of a scorer of unit image or prompt.

    Raises:
        UnknownNameError: If the table has none of this name.
    """
    by_name = {column.name: column for column in table.columns if column.unit != "set"}
    if name not in by_name:
        raise UnknownNameError("scorer of unit image or prompt", name, by_name)
    return by_name[name]


def _means(table: ScoreTable, column: ScorerColumn) -> pd.DataFrame:
    """Means on the cells that all ranked checkpoints have, a line a prompt, a column a checkpoint."""
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    rows = table.rows[table.rows["scorer"] == column.name]
    ranked = missing_share(failed_of(rows, ids)) <= MAX_SHARE
    cells = cells_of(rows, ids)[ranked]
    means = prompt_means(np.where(np.isnan(cells).any(axis=0), np.nan, cells))
    kept = [id_ for id_, keep in zip(ids, ranked, strict=True) if keep]
    return pd.DataFrame(means.T, index=sorted(rows["prompt_id"].unique()), columns=kept)
