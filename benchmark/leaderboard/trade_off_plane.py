"""The trade-off plane of two scorers: positions, regions, the front's confidence set, hypervolumes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint, Leaderboard, Plane, PlanePoint, ScorerColumn
from benchmark.leaderboard.names import method_name
from benchmark.leaderboard.score_arrays import cells_of, failed_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import RESAMPLES, FloatArray, IntArray
from benchmark.stats.cells import MAX_SHARE, missing_share, over_own_prompts, own_means, prompt_means
from benchmark.stats.pareto import (
    GROUPS,
    REFERENCE_SDS,
    front_set,
    front_support,
    hypervolume_difference,
    reference_point,
)
from benchmark.stats.region import Region, joint_region


def plane_of(
    table: ScoreTable,
    across: str,
    upward: str,
    reference: str,
    *,
    resamples: int = RESAMPLES,
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
    stays[known] = front_set(oriented[:, known], resamples=resamples)
    support = front_support(oriented, resamples=resamples)
    points = []
    for i, id_ in enumerate(found.ids):
        region = found.region(id_, reference, resamples=resamples)
        (x, y), (n_x, n_y) = found.means[i].tolist(), found.n[i].tolist()
        covariance, q = (region.upper_triangle, region.q) if region else (None, None)
        points.append(PlanePoint(id_, x, y, covariance, q, bool(stays[i]), float(support[i]), n_x, n_y))
    corner = _corner(table, facts, reference)
    ranked = [c for c in table.checkpoints if c.id in found.ids]
    if corner is None:
        return Plane(across, upward, tuple(points), None, ())
    notes = _hypervolume_notes(ranked, oriented, corner * _signs(facts), facts, reference)
    return Plane(across, upward, tuple(points), (float(corner[0]), float(corner[1])), notes)


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

    def region(self, checkpoint: str, reference: str, *, resamples: int) -> Region | None:
        """Joint region of a checkpoint's two means less the reference's, under one resampling of prompts.

        Args:
            checkpoint: Its id.
            reference: The other's.
            resamples: Bootstrap resamples.

        Returns:
            The region; None where one of the four means is over fewer than three prompts.
        """
        i, at = self.ids.index(checkpoint), self.ids.index(reference)
        if self.n[[i, at]].min() < _PROMPTS_FOR_A_REGION:
            return None
        return joint_region(self.z[:, i] - self.z[:, at], resamples=resamples)


def positions_of(table: ScoreTable, facts: Sequence[ScorerColumn]) -> Positions:
    """Where the ranked checkpoints of a table stand.

    Args:
        table: Scores.
        facts: Two scorers of unit image or prompt.

    Returns:
        The checkpoints that at most 1 % is missing for on either scorer and that have a number on both.
    """
    columns = [own_values(table, column) for column in facts]
    ranked = [c.id for c in table.checkpoints if all(c.id in values.columns for values in columns)]
    ids = tuple(id_ for id_ in ranked if all(values[id_].notna().any() for values in columns))
    prompts = columns[0].index.union(columns[1].index)
    x = np.stack([values[list(ids)].reindex(prompts).to_numpy() for values in columns], axis=2)
    x = x[~np.isnan(x).all(axis=(1, 2))]
    return Positions(ids, own_means(x), (~np.isnan(x)).sum(axis=0), over_own_prompts(x))


def own_values(table: ScoreTable, column: ScorerColumn) -> pd.DataFrame:
    """A line a prompt, a column for each ranked checkpoint, ``NaN`` where there is no number."""
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    rows = table.rows_of(column.name)
    ranked = missing_share(failed_of(rows, ids)) <= MAX_SHARE
    ranked_ids = [id_ for id_, keep in zip(ids, ranked, strict=True) if keep]
    means = prompt_means(cells_of(rows, ids)[ranked])
    return pd.DataFrame(means.T, index=sorted(rows["prompt_id"].unique()), columns=ranked_ids)


def _hypervolume_notes(
    checkpoints: Sequence[Checkpoint],
    x: FloatArray,
    corner: FloatArray,
    facts: Sequence[ScorerColumn],
    reference: str,
) -> tuple[str, ...]:
    """How much more of the plane each method covers than the method of the reference checkpoint.

    A method is an objective with its divergence, and covers what any of its checkpoints covers: those of a
    sweep are one front. A base model, or a checkpoint that does not say how it was trained, is its own.

    Args:
        checkpoints: Those of the plane.
        x: One row a prompt, without gaps, shape (prompts, checkpoints, 2); larger is better on both axes.
        corner: Reference point, shape (2,), likewise.
        facts: The two scorers.
        reference: Id of a checkpoint of the method that the others are compared with.

    Returns:
        One sentence with all methods; none where there is nothing to compare.
    """
    methods: dict[str, list[int]] = {}
    for i, checkpoint in enumerate(checkpoints):
        methods.setdefault(method_name(checkpoint), []).append(i)
    own = next(method_name(c) for c in checkpoints if c.id == reference)
    own_members = methods.pop(own)
    found = []
    for name, members in methods.items():
        lead = hypervolume_difference(x[:, members], x[:, own_members], corner)
        if not np.isnan(lead.lo):
            found.append(f"{_sized(name, members)} {lead.value:+.3g} [{lead.lo:.3g}, {lead.hi:.3g}]")
    if not found:
        return ()
    signs = np.array([1.0 if column.higher_is_better else -1.0 for column in facts])
    point = ", ".join(f"{c.label} {v:.4g}" for c, v in zip(facts, signs * corner, strict=True))
    sentence = (
        f"Hypervolume over {point} (the base less {REFERENCE_SDS:g} within-prompt SD), less that of "
        f"{_sized(own, own_members)}, bias-corrected, 95 % by jackknife over {GROUPS} groups of prompts: "
        f"{'; '.join(found)}."
    )
    return (sentence,)


def _sized(name: str, members: Sequence[int]) -> str:
    return name if len(members) == 1 else f"{name} ({len(members)} checkpoints)"
