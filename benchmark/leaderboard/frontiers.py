"""Frontiers that need no training, beside trained checkpoints: drawn, and never ranked with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.records import Checkpoint, Frontier, FrontierPoint, Leaderboard, Plane, ScorerColumn
from benchmark.leaderboard.comparability import first_difference
from benchmark.leaderboard.equal_level import EqualLevel
from benchmark.leaderboard.line_distance import distance_lines, distances_from_lines
from benchmark.leaderboard.optimum_lines import OptimumLine, beta_of, optimum_lines
from benchmark.leaderboard.score_table import ScoreTable, read_score_table
from benchmark.leaderboard.trade_off_plane import Positions, positions_of, sampled_scorer
from benchmark.stats.arrays import RESAMPLES, FloatArray

_PART: Final = "frontier:"
_GUIDANCE, _BEST_OF, _BY = "guidance", "best_of", "best_of_by"


def guidance_point(base: Checkpoint, scale: float) -> Checkpoint:
    """The base model at a guidance scale, as a checkpoint of a frontier's table."""
    return replace(base, id=f"{base.id}@cfg-{scale:g}", hyperparameters={_GUIDANCE: float(scale)})


def best_of_point(base: Checkpoint, n: int, by: str) -> Checkpoint:
    """The base model's best of n by a scorer, as a checkpoint of a frontier's table."""
    return replace(base, id=f"{base.id}@best-of-{n}-{by}", hyperparameters={_BEST_OF: n, _BY: by})


def signature_of_frontier(signature: str, scales: Sequence[float], best_of: Sequence[int], by: str) -> str:
    """The evaluation's signature with one part more, so that no leaderboard joins such a table.

    Example:
        >>> signature_of_frontier("fbench:1.0|cfg:2.0", (1.0, 2.0), (2, 4), "hps")
        'fbench:1.0|cfg:2.0|frontier:cfg 1,2; best of 2,4 by hps'
    """
    parts = [f"cfg {','.join(f'{scale:g}' for scale in scales)}"] if scales else []
    parts += [f"best of {','.join(map(str, best_of))} by {by}"] if best_of else []
    return f"{signature}|{_PART}{'; '.join(parts)}"


def signature_of_optima(signature: str, divergences: Sequence[str], reward: str, pool: int) -> str:
    """The same for the optima of a reward.

    Example:
        >>> signature_of_optima("fbench:1.0|cfg:2.0", ("reverse_kl",), "hps", 16)
        'fbench:1.0|cfg:2.0|frontier:optimum of hps on 16 images under reverse_kl'
    """
    under = ", ".join(divergences).replace("|", "/")
    return f"{signature}|{_PART}optimum of {reward} on {pool} images under {under}"


def difference_from(
    board: Leaderboard | ScoreTable, signature: str, columns: Sequence[ScorerColumn]
) -> str | None:
    """The first thing in which a frontier's signature differs from that of what it is drawn on.

    The guidance of its guidance points is no difference: that is what they are there to show. Nor is a
    scorer that only one of the two has: no plane shows it with the frontier.

    Returns:
        In words; None if there is none.
    """
    only_one = {c.name for c in board.columns} ^ {c.name for c in columns}
    return first_difference(_without(board.signature, only_one), _without(signature, only_one))


def read_frontiers(folders: Sequence[Path]) -> list[ScoreTable]:
    """The tables of frontiers, read before anything is ranked.

    Args:
        folders: That ``fbench frontier`` wrote.

    Raises:
        UserError: If one holds no table, or not a frontier's.
    """
    tables = [read_score_table(folder, "frontier EVAL") for folder in folders]
    for table in tables:
        _refuse_other(table)
    return tables


def with_frontiers(
    board: Leaderboard,
    tables: Sequence[ScoreTable],
    scores: ScoreTable | None = None,
    *,
    resamples: int = RESAMPLES,
) -> Leaderboard:
    """A leaderboard whose planes show frontiers; nothing else about it changes.

    Args:
        board: With its planes.
        tables: Of ``fbench frontier``.
        scores: What the board was built from; with it, planes also say how far checkpoints are from the
            optimum under their own divergence.
        resamples: Bootstrap resamples of the regions.

    Raises:
        UserError: if a table is no frontier's, or has not both scorers of any plane.
        NotComparableError: if a table's signature or base model is not the leaderboard's.
    """
    for table in tables:
        _check(board, table)
    planes = [plane_with_frontiers(plane, tables, scores, resamples=resamples) for plane in board.planes]
    return replace(board, planes=tuple(planes))


def plane_with_frontiers(
    plane: Plane,
    tables: Sequence[ScoreTable],
    scores: ScoreTable | None = None,
    *,
    resamples: int = RESAMPLES,
) -> Plane:
    """One plane with the frontiers of the tables that have both of its scorers.

    Optima are laid at the base's place in the plane: what they and the checkpoints gain is over the base on
    its own images, of which the pool has others beside the evaluation's.
    """
    found, distances = list(plane.frontiers), list(plane.distances)
    for table in tables:
        if {plane.across, plane.upward} <= {column.name for column in table.columns}:
            base = table.checkpoints[0].id
            own = next(((p.x, p.y) for p in plane.points if p.checkpoint == base), None)
            found += frontiers_of(table, plane.across, plane.upward, base, own, resamples=resamples)
            if scores is not None:
                distances += distances_from_lines(scores, table, plane.across, plane.upward)
    new = replace(plane, distances=tuple(distances))
    notes = distance_lines(new, scores.checkpoints)[len(plane.distances) :] if scores is not None else ()
    return replace(new, frontiers=tuple(found), front_notes=(*plane.front_notes, *notes))


def frontiers_of(
    table: ScoreTable,
    across: str,
    upward: str,
    reference: str,
    at: tuple[float, float] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> tuple[Frontier, ...]:
    """Frontiers without training in the plane of two scorers.

    A point stands at its means, and its region is that of its means less the base model's, as in
    :func:`benchmark.leaderboard.trade_off_plane.plane_of`.

    Args:
        table: Of ``fbench frontier``.
        across: Scorer of the first axis, of unit image or prompt.
        upward: Scorer of the second axis.
        reference: Id of the base model in the table.
        at: Where lines of optima begin, the base's place in the plane; None: at the mean of the pool.
        resamples: Bootstrap resamples.

    Returns:
        One for the guidance scales and one for best of n, which starts with n = 1, the base itself; one for
        each divergence with a line of its own, which starts with the base. Points above 1 % missing are left
        out; where one of the two scorers chose the images, the name says so.

    Raises:
        UnknownNameError: for a scorer without values of prompts.
        UserError: if the base itself is above 1 % missing, or has no number of one of the two.
    """
    facts = [sampled_scorer(table, name) for name in (across, upward)]
    found = positions_of(table, facts)
    if reference not in found.ids:
        raise UserError(f"above 1 % of {across} or {upward} is missing for {reference}, or all of it")
    frontiers = list[Frontier]()
    own = found.means[found.ids.index(reference)]
    for family in _families(table, reference, facts):
        there = ((label, id_) for label, id_ in family.settings if id_ in found.ids)
        points = [_point(label, found, id_, reference, resamples) for label, id_ in there]
        if family.line is not None:
            points = _of_line(points, family, own, at)
            facts_of_line = (family.line.divergence, family.line.reward, family.line.pool)
            frontiers.append(Frontier(family.name, tuple(points), *facts_of_line))
        elif points:
            frontiers.append(Frontier(family.name, tuple(points)))
    return tuple(frontiers)


@dataclass(frozen=True)
class _Family:
    """A frontier to be: its name, its settings' labels and checkpoints in order, its line if it is one."""

    name: str
    settings: list[tuple[str, str]] = field(default_factory=list)
    line: OptimumLine | None = None


def _point(label: str, found: Positions, id_: str, reference: str, resamples: int) -> FrontierPoint:
    at = found.ids.index(id_)
    region = found.region(id_, reference, resamples=resamples)
    (x, y), (n_x, n_y) = found.means[at].tolist(), found.n[at].tolist()
    covariance, q = (region.upper_triangle, region.q) if region else (None, None)
    return FrontierPoint(label, x, y, covariance, q, n_x, n_y)


def _of_line(
    points: Sequence[FrontierPoint], family: _Family, own: FloatArray, at: tuple[float, float] | None
) -> list[FrontierPoint]:
    """The points of a line moved to the base's place, with their effective shares."""
    assert family.line is not None
    labels = [label for label, _ in family.settings[1:]]
    shares = {"base": 1.0, **dict(zip(labels, family.line.effective_shares, strict=True))}
    hollow = {"base": False, **dict(zip(labels, family.line.hollow, strict=True))}
    dx, dy = (0.0, 0.0) if at is None else (at[0] - float(own[0]), at[1] - float(own[1]))
    return [
        replace(p, x=p.x + dx, y=p.y + dy, effective_share=shares[p.label], hollow=hollow[p.label])
        for p in points
    ]


def _families(table: ScoreTable, reference: str, facts: Sequence[ScorerColumn]) -> Iterator[_Family]:
    scales: dict[float, str] = {}
    chosen: dict[str, dict[int, str]] = {}
    for checkpoint in table.checkpoints:
        setting = checkpoint.hyperparameters
        if _GUIDANCE in setting:
            scales[float(setting[_GUIDANCE] or 0)] = checkpoint.id
        elif _BEST_OF in setting:
            chosen.setdefault(str(setting[_BY]), {1: reference})[int(setting[_BEST_OF] or 0)] = checkpoint.id
    if scales:
        yield _Family("guidance", [(f"cfg {scale:g}", scales[scale]) for scale in sorted(scales)])
    for by, of in chosen.items():
        mark = " (in-domain)" if by in [column.name for column in facts] else ""
        yield _Family(f"best of n by {by}{mark}", [(f"n = {n}", of[n]) for n in sorted(of)])
    for line in optimum_lines(table):
        if line.drawn_as == line.divergence:
            steps = [(f"β {beta_of(point):.3g}", point.id) for point in line.points]
            name = f"{line.divergence}: optimum of {line.reward}"
            yield _Family(name, [("base", reference), *steps], line)


def with_lines(
    found: EqualLevel, scores: ScoreTable, tables: Sequence[ScoreTable], *, resamples: int = RESAMPLES
) -> EqualLevel:
    """Curves at equal level with the optima under divergences beside them, laid where the curves begin.

    Args:
        found: The curves.
        scores: What they are of.
        tables: Of ``fbench frontier --closed-form``.
        resamples: Bootstrap resamples of the regions.

    Raises:
        UserError: if a table is no frontier's, or has no optima of these two scorers.
        NotComparableError: if a table's signature or base model is not the evaluation's.
    """
    lines = list[Frontier]()
    for table in tables:
        _check_comparable(scores, scores.checkpoints, table)
        names = (found.level.name, found.outcome.name)
        if not optimum_lines(table) or not {*names} <= {column.name for column in table.columns}:
            raise UserError(
                f"the frontier {table.source} has no optima in {names[0]} and {names[1]}",
                do="make some: `fbench frontier EVAL --closed-form`",
            )
        first = found.curves[0].points[0]
        own = (first.level, first.outcome) if first.name == table.checkpoints[0].id else None
        of_table = frontiers_of(table, *names, table.checkpoints[0].id, own, resamples=resamples)
        lines += [frontier for frontier in of_table if frontier.divergence]
    return replace(found, lines=tuple(lines))


def _check(board: Leaderboard, table: ScoreTable) -> None:
    where = table.source or table.suite
    _check_comparable(board, [row.checkpoint for row in board.rows], table)
    scorers = {column.name for column in table.columns}
    planes = [f"{plane.upward} against {plane.across}" for plane in board.planes]
    if not any({plane.across, plane.upward} <= scorers for plane in board.planes):
        raise UserError(
            f"the frontier {where} has the scorers {', '.join(sorted(scorers))}",
            allowed=f"both of {' or '.join(planes)}" if planes else "",
            do="" if planes else "a trade-off needs a preference and a diversity scorer",
        )


def _refuse_other(table: ScoreTable) -> None:
    if f"|{_PART}" not in table.signature:
        where = table.source or table.suite
        raise UserError(f"{where} is no frontier", do="make one with `fbench frontier`")


def _check_comparable(
    board: Leaderboard | ScoreTable, checkpoints: Sequence[Checkpoint], table: ScoreTable
) -> None:
    where = table.source or table.suite
    _refuse_other(table)
    difference = difference_from(board, table.signature, table.columns)
    base = table.checkpoints[0]
    for known in checkpoints:
        # Trained checkpoints have revisions of their own.
        if difference is None and known.base_model != base.base_model:
            difference = f"base model is {known.base_model} in one and {base.base_model} in the other"
        if difference is None and known.id == base.id and known.revision != base.revision:
            difference = f"the base's weights are {known.revision} in one and {base.revision} in the other"
    if difference:
        raise NotComparableError(
            f"the frontier {where} is not comparable: {difference}",
            do="make one of this evaluation: `fbench frontier EVAL`",
        )


def _without(signature: str, scorers: set[str]) -> str:
    left_out = (_PART, *(f"{name}:" for name in scorers))
    return "|".join(part for part in signature.split("|") if not part.startswith(left_out))
