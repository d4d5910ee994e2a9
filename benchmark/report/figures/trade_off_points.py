"""The points of the trade-off figure, read off a leaderboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import (
    Axis,
    Checkpoint,
    Frontier,
    Leaderboard,
    LeaderboardCell,
    Plane,
    PlanePoint,
    ScorerColumn,
)
from benchmark.leaderboard.names import method_name, method_order, seed_groups
from benchmark.report.finding import first_column
from benchmark.stats.curves import used_points
from benchmark.stats.pareto import on_front
from benchmark.stats.region import Region

Ends = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Point:
    """A checkpoint in the plane.

    Attributes:
        id: Of the checkpoint.
        name: Short, and its own but for other training seeds of the same.
        method: Objective and divergence.
        detail: What tells it from others of its method; empty for the only one.
        x: Diversity.
        y: Preference.
        outline: Edge of the joint 95 % region, (m, 2); None where there is none.
        bars: Where there is no region, ends of the two intervals of the paired difference, laid at the
            reference's means: beside the point where the two checkpoints have numbers of other prompts.
        n: Prompts behind x and behind y; None for a scorer of whole sets.
        beaten: Whether it is outside the 95 % confidence set of the Pareto front.
        used: False past the highest preference of its sweep.
    """

    id: str
    name: str
    method: str
    detail: str
    x: float
    y: float
    outline: NDArray[np.float64] | None = None
    bars: tuple[Ends, Ends] | None = None
    n: tuple[int | None, int | None] = (None, None)
    beaten: bool = False
    used: bool = True


@dataclass(frozen=True, eq=False)
class TradeOff:
    """A trade-off to draw.

    Attributes:
        across: Scorer of the horizontal axis.
        upward: Scorer of the vertical axis.
        points: The checkpoints, the reference first where it is there.
        has_reference: Whether it is.
        methods: Of all checkpoints of the leaderboard but the reference.
        front: Means that no other mean dominates, from the left to the right; empty without a plane.
        frontiers: What needs no training.
    """

    across: ScorerColumn
    upward: ScorerColumn
    points: tuple[Point, ...]
    has_reference: bool
    methods: tuple[str, ...]
    front: tuple[tuple[float, float], ...] = ()
    frontiers: tuple[Frontier, ...] = ()

    @property
    def sampled(self) -> tuple[Frontier, ...]:
        """Frontiers of the base's own sampling."""
        return tuple(f for f in self.frontiers if not f.divergence)

    @property
    def lines(self) -> tuple[Frontier, ...]:
        """Optima under a divergence."""
        return tuple(f for f in self.frontiers if f.divergence)

    @property
    def signs(self) -> tuple[float, float]:
        """1 or -1 an axis: times the number, larger is better."""
        return _sign(self.across), _sign(self.upward)


def trade_off_of(leaderboard: Leaderboard, preference: str | None, diversity: str | None) -> TradeOff:
    """The plane of two scorers, or where the leaderboard has none, means with intervals of each axis.

    Raises:
        UnknownNameError: For a scorer that the leaderboard lacks.
        UserError: If it has no scorer for an axis, or no checkpoint with both.
    """
    across = _scorer(leaderboard, "diversity", diversity)
    upward = _scorer(leaderboard, "preference", preference)
    plane = next((p for p in leaderboard.planes if (p.across, p.upward) == (across.name, upward.name)), None)
    points = _of_plane(leaderboard, plane) if plane else _of_cells(leaderboard, across, upward)
    if not points:
        raise UserError(
            f"no checkpoint has both {across.name} and {upward.name}",
            do="evaluate more prompts or images; `fbench leaderboard --verbose` says what is missing",
        )
    points.sort(key=lambda point: point.id != leaderboard.reference)
    checkpoints = [row.checkpoint for row in leaderboard.rows]
    if upward.axis == "preference":
        late = past_maximum(checkpoints, {p.id: _sign(upward) * p.y for p in points})
        points = [replace(point, used=point.id not in late) for point in points]
    methods = method_order(checkpoints, leaderboard.reference)
    plot = TradeOff(across, upward, tuple(points), points[0].id == leaderboard.reference, methods)
    if plane is None:
        return plot
    return replace(plot, front=_front(plot), frontiers=plane.frontiers)


def axes_of(leaderboard: Leaderboard, preference: str | None, diversity: str | None) -> tuple[str, str]:
    """Names of the scorers across and upward, those that are not named by their default.

    Raises:
        UnknownNameError: For a scorer that the leaderboard lacks.
        UserError: If it has no scorer for an axis.
    """
    across = _scorer(leaderboard, "diversity", diversity)
    return across.name, _scorer(leaderboard, "preference", preference).name


def past_maximum(checkpoints: Sequence[Checkpoint], worth: Mapping[str, float]) -> set[str]:
    """The checkpoints of sweeps that went past their highest reward, which iso-reward curves do not use.

    A sweep is a method at several betas, or else at several steps; its values are means over seeds, and the
    base model is where it begins.

    Args:
        checkpoints: Of the leaderboard.
        worth: Reward by id, larger is better, of those that are drawn.
    """
    start = [worth[c.id] for c in checkpoints if c.is_base and c.id in worth][:1]
    methods: dict[str, list[Checkpoint]] = {}
    for c in checkpoints:
        if not c.is_base and c.id in worth:
            methods.setdefault(method_name(c), []).append(c)
    late: set[str] = set()
    for runs in methods.values():
        betas, steps = ({_parameter(c, along) for c in runs} for along in ("beta", "step"))
        if len(betas - {None}) > 1:
            along, fixed = "beta", "step"
        elif len(steps) > 1:
            along, fixed = "step", "beta"
        else:
            continue
        for at in {_parameter(c, fixed) for c in runs}:
            points: dict[float, list[str]] = {}
            for c in runs:
                pull = _parameter(c, along)
                if pull is not None and _parameter(c, fixed) == at:
                    points.setdefault(pull, []).append(c.id)
            order = sorted(points)
            level = [*start, *(float(np.mean([worth[id_] for id_ in points[p]])) for p in order)]
            used = used_points(np.array(level))[len(start) :]
            late |= {id_ for p, kept in zip(order, used, strict=True) if not kept for id_ in points[p]}
    return late


def _parameter(checkpoint: Checkpoint, name: str) -> float | None:
    """Of a sweep; rises with the pull away from the reference."""
    value = checkpoint.step if name == "step" else checkpoint.hyperparameters.get("beta")
    if not isinstance(value, int | float):
        return None
    return float(value) if name == "step" else -float(value)


def _of_plane(leaderboard: Leaderboard, plane: Plane) -> list[Point]:
    named = _names(leaderboard)
    return [
        replace(
            named[p.checkpoint], x=p.x, y=p.y, outline=_outline(p), n=(p.n_x, p.n_y),
            beaten=not p.may_be_on_front,
        )
        for p in plane.points
        if p.checkpoint in named
    ]  # fmt: skip


def _outline(point: PlanePoint) -> NDArray[np.float64] | None:
    if point.covariance is None or point.q is None or not any(point.covariance):
        return None
    xx, xy, yy = point.covariance
    return Region(np.array([point.x, point.y]), np.array([[xx, xy], [xy, yy]]), point.q, 0).outline()


def _of_cells(leaderboard: Leaderboard, across: ScorerColumn, upward: ScorerColumn) -> list[Point]:
    named = _names(leaderboard)
    positions = [column.name for column in leaderboard.columns]
    at = [positions.index(across.name), positions.index(upward.name)]
    reference = next((row for row in leaderboard.rows if row.checkpoint.id == leaderboard.reference), None)
    star_x, star_y = (None if reference is None else reference.cells[i] for i in at)
    points = []
    for row in leaderboard.rows:
        x, y = (row.cells[i] for i in at)
        if x.mean is not None and y.mean is not None:
            bars = (_bar(x, star_x), _bar(y, star_y))
            n = (x.n_prompts, y.n_prompts)
            points.append(replace(named[row.checkpoint.id], x=x.mean, y=y.mean, bars=bars, n=n))
    return points


def _names(leaderboard: Leaderboard) -> dict[str, Point]:
    """Every checkpoint under its names, nowhere yet."""
    checkpoints = {row.checkpoint.id: row.checkpoint for row in leaderboard.rows}
    named = dict[str, Point]()
    for group in seed_groups(list(checkpoints.values())):
        method = method_name(checkpoints[group.ids[0]])
        detail = group.name.removeprefix(method).lstrip(", ").replace("beta ", "β ")
        named |= {id_: Point(id_, group.name, method, detail, 0.0, 0.0) for id_ in group.ids}
    return named


def _bar(cell: LeaderboardCell, reference: LeaderboardCell | None) -> Ends:
    """The paired difference's interval at the reference's mean; where there is none, the mean alone."""
    assert cell.mean is not None, "only means are drawn"
    if reference is None or reference.mean is None or cell.difference is None:
        return cell.mean, cell.mean
    low, high = cell.difference_lo, cell.difference_hi
    if low is None or high is None:
        return reference.mean + cell.difference, reference.mean + cell.difference
    return reference.mean + low, reference.mean + high


def _front(plot: TradeOff) -> tuple[tuple[float, float], ...]:
    means = np.array([(p.x, p.y) for p in plot.points])
    undominated = means[on_front(means * np.array(plot.signs))]
    undominated = undominated[np.argsort(undominated[:, 0] * plot.signs[0])]
    return tuple((float(x), float(y)) for x, y in undominated)


def _sign(column: ScorerColumn) -> float:
    return 1.0 if column.higher_is_better else -1.0


def _scorer(leaderboard: Leaderboard, axis: Axis, name: str | None) -> ScorerColumn:
    by_name = {column.name: column for column in leaderboard.columns}
    if name is not None:
        if name not in by_name:
            raise UnknownNameError("scorer of this leaderboard", name, by_name)
        if by_name[name].axis == "texture":
            # Noise maximises it: on this plot it would crown a destroyed model.
            raise UserError(
                f"{name} is of the texture axis, which has no better or worse", do="name another scorer"
            )
        return by_name[name]
    column = first_column(leaderboard, axis)
    if column is None:
        raise UserError(
            f"this leaderboard has no scorer of the {axis} axis",
            allowed=", ".join(by_name),
            do=f"name one, or evaluate with a {axis} scorer",
        )
    return column
