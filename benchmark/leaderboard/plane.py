"""The trade-off plane of a table: regions, the front's confidence set, support."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Leaderboard, Plane, PlanePoint, ScorerColumn
from benchmark.leaderboard.grid import cells_of
from benchmark.leaderboard.hypervolumes import hypervolume_notes
from benchmark.leaderboard.positions import positions_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES, FloatArray
from benchmark.stats.front import front_set, front_support
from benchmark.stats.hypervolume import reference_point


def plane_of(
    table: ScoreTable,
    across: str,
    upward: str,
    reference: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Plane:
    """The checkpoints in the plane of two scorers, each at its means over the prompts that it has.

    A point is where the table's cells say. Its region is that of its two means less the reference's, under
    one resampling of prompts, each mean over its own: of the paired differences, where nothing is missing.

    Args:
        table: Scores.
        across: Scorer of the first axis, of unit image or prompt, such as one of diversity.
        upward: Scorer of the second axis, such as one of preference.
        reference: Id of the checkpoint that the differences are from.
        resamples: Bootstrap resamples.
        seed: Seed of the draws.

    Returns:
        One point a checkpoint, without those above 1 % missing on either scorer, which are not ranked, and
        those without any number on one.

    Raises:
        UnknownNameError: For a scorer without values of prompts, or a reference that is not ranked.
    """
    facts = [sampled_scorer(table, name) for name in (across, upward)]
    found = positions_of(table, facts)
    if reference not in found.ids:
        raise UnknownNameError("ranked reference checkpoint", reference, found.ids)
    oriented = _signs(facts) * found.z
    # Of a single number nobody knows how far it is off: it neither leaves the front nor beats another.
    known = (found.n > 1).all(axis=1)
    stays = np.ones(len(found.ids), dtype=np.bool_)
    stays[known] = front_set(oriented[:, known], resamples=resamples, seed=seed)
    support = front_support(oriented, resamples=resamples, seed=seed)
    points = []
    for i, id_ in enumerate(found.ids):
        region = found.region(id_, reference, resamples=resamples, seed=seed)
        (x, y), (n_x, n_y) = found.means[i].tolist(), found.n[i].tolist()
        shape = (None, None) if region is None else (region.upper_triangle, region.q)
        points.append(PlanePoint(id_, x, y, *shape, bool(stays[i]), float(support[i]), n_x, n_y))
    corner = _corner(table, facts, reference)
    kept = [c for c in table.checkpoints if c.id in found.ids]
    notes = (
        () if corner is None else hypervolume_notes(kept, oriented, corner * _signs(facts), facts, reference)
    )
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
    # Scorers of whole sets have none, nor has a reference that is not ranked.
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
