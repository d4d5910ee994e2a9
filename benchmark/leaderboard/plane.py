"""The trade-off plane of a table: regions, the front's confidence set, support."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Leaderboard, Plane, PlanePoint, ScorerColumn
from benchmark.leaderboard.grid import cells_of, failed_of
from benchmark.leaderboard.hypervolumes import hypervolume_notes
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES, FloatArray
from benchmark.stats.cells import prompt_means
from benchmark.stats.front import front_set, front_support
from benchmark.stats.hypervolume import reference_point
from benchmark.stats.missing import MAX_SHARE, missing_share
from benchmark.stats.region import joint_region


def plane_of(
    table: ScoreTable,
    across: str,
    upward: str,
    reference: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Plane:
    """The checkpoints in the plane of two scorers, on the prompts that all of them have on both.

    Regions are those of the paired differences from the reference, drawn at the means.

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
        UserError: If the two scorers share no prompt.
    """
    facts = [sampled_scorer(table, name) for name in (across, upward)]
    means = [_means(table, column) for column in facts]
    ids = [c.id for c in table.checkpoints if all(c.id in m.columns for m in means)]
    if reference not in ids:
        raise UnknownNameError("ranked reference checkpoint", reference, ids)
    both = [m[ids].dropna() for m in means]
    prompts = both[0].index.intersection(both[1].index)
    if prompts.empty:
        raise UserError(f"no prompt has a number of {across} and {upward} for all of {', '.join(ids)}")
    x = np.stack([b.loc[prompts].to_numpy() for b in both], axis=2)
    signs = _signs(facts)
    stays = front_set(signs * x, resamples=resamples, seed=seed)
    support = front_support(signs * x, resamples=resamples, seed=seed)
    at = ids.index(reference)
    points = []
    for i, id_ in enumerate(ids):
        centre = x[:, i].mean(axis=0)
        region = joint_region(x[:, i] - x[:, at], resamples=resamples, seed=seed)
        (xx, xy), (_, yy) = ((0.0, 0.0), (0.0, 0.0)) if region is None else region.covariance
        points.append(
            PlanePoint(
                checkpoint=id_,
                x=float(centre[0]),
                y=float(centre[1]),
                covariance=None if region is None else (float(xx), float(xy), float(yy)),
                q=None if region is None else region.q,
                may_be_on_front=bool(stays[i]),
                support=float(support[i]),
            )
        )
    corner = _corner(table, facts, reference)
    kept = [c for c in table.checkpoints if c.id in ids]
    notes = () if corner is None else hypervolume_notes(kept, signs * x, signs * corner, facts, reference)
    own = None if corner is None else (float(corner[0]), float(corner[1]))
    return Plane(across, upward, tuple(points), own, notes)


def with_plane(board: Leaderboard, table: ScoreTable, across: str, upward: str) -> Leaderboard:
    """The leaderboard with the plane of these two scorers, if they have one.

    Args:
        board: Its planes are those of the primary scorers.
        table: What it was built from.
        across: Scorer of the first axis.
        upward: Scorer of the second axis.
    """
    if any((plane.across, plane.upward) == (across, upward) for plane in board.planes):
        return board
    # Scorers of whole sets have none, nor have two that share no prompt.
    with suppress(UserError):
        return replace(board, planes=(*board.planes, plane_of(table, across, upward, board.reference)))
    return board


def primary_pairs(columns: Sequence[ScorerColumn]) -> tuple[tuple[str, str], ...]:
    """The (diversity, preference) scorers of unit image or prompt to show against each other.

    Args:
        columns: The scorers of a table.

    Returns:
        Pairs of the primary ones of each axis; where an axis has no primary one, its first stands for it.
    """
    axes = (
        [c for c in columns if c.unit != "set" and c.axis == axis] for axis in ("diversity", "preference")
    )
    across, upward = ([c.name for c in of if c.primary] or [c.name for c in of[:1]] for of in axes)
    return tuple((x, y) for x in across for y in upward)


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


def _corner(table: ScoreTable, facts: Sequence[ScorerColumn], reference: str) -> FloatArray | None:
    """The reference point of hypervolumes, in the scorers' own signs; None without a base that has it."""
    base = table.base(reference)
    if base is None:
        return None
    rows = table.rows[table.rows["checkpoint"] == base]
    signs = _signs(facts)
    own = [s * cells_of(rows[rows["scorer"] == f.name], [base])[0] for f, s in zip(facts, signs, strict=True)]
    corner: FloatArray = signs * reference_point(*own)
    return corner if np.isfinite(corner).all() else None


def _signs(facts: Sequence[ScorerColumn]) -> FloatArray:
    return np.array([1.0 if column.higher_is_better else -1.0 for column in facts])
