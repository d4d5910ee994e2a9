"""The part of a leaderboard that is shown, in which order: numbers stay those of all that was tested."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint, Cost, Leaderboard, LeaderboardRow, ScorerColumn
from benchmark.leaderboard.build import build_leaderboard
from benchmark.leaderboard.comparability import signature_about
from benchmark.leaderboard.join import join_tables
from benchmark.leaderboard.notes import notes_of
from benchmark.leaderboard.score_table import ScoreTable

Value = float | int | str | bool | None
Notes = Callable[[Sequence[ScorerColumn], Sequence[LeaderboardRow], str], tuple[str, ...]]

_FACTS = ("id", "base_model", "objective", "divergence", "step")
_CONDITION = re.compile(r"^\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*$")
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class View:
    """A choice of rows and columns, and their order.

    Attributes:
        where: Conditions on checkpoints, all of which must hold, see :func:`matching`; the reference is
            always shown.
        sort: A scorer (best first), ``id``, ``step``, a setting or a cost (least first); with ``-`` in front
            the other way round. What has no number comes last. None keeps the order.
        scorers: Names of the columns in their order; empty for all.
        axes: Only scorers of these axes; empty for all.
        primary: Only scorers that the suite declares.
        retest: Whether what `where` leaves out is dropped before the tests, as if it had not been evaluated.
    """

    where: tuple[str, ...] = ()
    sort: str | None = None
    scorers: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    primary: bool = False
    retest: bool = False


def build_view(
    tables: Sequence[ScoreTable], view: View, *, reference: str | None = None, tags: bool = False
) -> Leaderboard:
    """The leaderboard of some tables, as far as a view shows it.

    Args:
        tables: As of :func:`benchmark.leaderboard.build_leaderboard`, and so the rest.
        view: What to show.
        reference: Id of the checkpoint that the others are compared with; it is always shown.
        tags: Whether to break the numbers down by tag.

    Raises:
        UserError: As :func:`build_leaderboard` and :func:`view_of`.
    """
    table = join_tables(tables, view.scorers)
    # Ranking takes long, and a name is mistyped in a moment.
    matching(table.checkpoints, view.where)
    _chosen(table.columns, view)
    if not view.retest:
        board = build_leaderboard(tables, reference=reference, scorers=view.scorers, tags=tags)
        return view_of(board, view)
    tested = only(table, view.where, reference)
    board = view_of(build_leaderboard([tested], reference=reference, tags=tags), replace(view, where=()))
    note = (
        f"{len(tested.checkpoints)} of {len(table.checkpoints)} checkpoints were tested "
        f"({' and '.join(view.where)}, and {board.reference}), as if there were no others."
    )
    sources = tuple(t.source for t in tables if t.source)
    return replace(board, notes=(*board.notes, note), built_from=sources)


def view_of(board: Leaderboard, view: View, notes: Notes = notes_of) -> Leaderboard:
    """The part of a leaderboard that a view shows; a note says what it does not.

    Args:
        board: As built, with all checkpoints and scorers.
        view: What to show.
        notes: What says them anew for the scorers that are left.

    Raises:
        UnknownNameError: For a scorer, an axis or a key that this leaderboard lacks.
        UserError: For a condition that is none, or if nothing is left.
    """
    ids = {board.reference, *matching([row.checkpoint for row in board.rows], view.where)}
    columns = _chosen(board.columns, view)
    index = {column.name: i for i, column in enumerate(board.columns)}
    rows = [
        replace(row, cells=tuple(row.cells[index[column.name]] for column in columns))
        for row in _sorted(board, view.sort)
        if row.checkpoint.id in ids
    ]
    names = {column.name for column in columns}
    hidden = []
    if len(rows) < len(board.rows):
        hidden.append(
            f"{len(rows)} of {len(board.rows)} checkpoints are shown ({' and '.join(view.where)}, and "
            f"{board.reference}): tests, groups, ranks and the front are of all {len(board.rows)}."
        )
    if len(columns) < len(board.columns):
        hidden.append(f"{len(columns)} of {len(board.columns)} scorers are shown.")
    gaps = tuple(g for g in board.gaps if g.checkpoint in ids and (g.gained or g.held_out[0]) in names)
    needed = names.union(*((gap.gained, *gap.held_out) for gap in gaps))
    # What is not about the columns that are shown: how tables were joined.
    remarks = [note for note in board.notes if note not in notes(board.columns, board.rows, board.reference)]
    return replace(
        board,
        rows=tuple(rows),
        columns=columns,
        notes=(*notes(columns, board.rows, board.reference), *remarks, *hidden),
        planes=tuple(
            replace(plane, points=tuple(p for p in plane.points if p.checkpoint in ids))
            for plane in board.planes
            if {plane.across, plane.upward} <= names
        ),
        gaps=gaps,
        signature=signature_about(board.signature, board.columns, needed),
        by_tag=tuple(cell for cell in board.by_tag if cell.checkpoint in ids and cell.scorer in names),
    )


def only(table: ScoreTable, where: Sequence[str], reference: str | None) -> ScoreTable:
    """The table of some checkpoints and the reference alone, for tests among them.

    Args:
        table: Joined scores.
        where: Conditions, see :func:`matching`.
        reference: Id of the checkpoint that differences are from; None for the first base model, which stays.
    """
    ids = {*matching(table.checkpoints, where), reference or table.base()}
    return replace(
        table,
        checkpoints=tuple(c for c in table.checkpoints if c.id in ids),
        rows=table.rows[table.rows["checkpoint"].isin(ids)].reset_index(drop=True),
    )


def matching(checkpoints: Sequence[Checkpoint], where: Sequence[str]) -> list[str]:
    """Ids of the checkpoints for which all conditions hold.

    A condition is a key, one of ``= != < <= > >=``, and a value. Keys are id, base_model, objective,
    divergence, step and the names of settings, such as beta or seed. After ``=`` and ``!=`` come numbers, or
    names in which ``*`` stands for anything, several with ``|`` between them; ``none`` is what a base model
    has.

    Example:
        >>> runs = [Checkpoint("a", "sd15", "rpo", None, {"beta": 0.1}), Checkpoint("b", "sd15", "sft")]
        >>> matching(runs, ["objective=rpo|f_*", "beta<1"])
        ['a']

    Raises:
        UnknownNameError: For a key that no checkpoint has.
        UserError: For a condition that is none, or if no checkpoint is left.
    """
    conditions = [_condition(text, checkpoints) for text in where]
    found = [c.id for c in checkpoints if all(holds(c) for holds in conditions)]
    if not found:
        alone = [
            text for text, holds in zip(where, conditions, strict=True) if not any(map(holds, checkpoints))
        ]
        there = [_value(c, _CONDITION.sub(r"\1", alone[0])) if alone else c.id for c in checkpoints]
        values = dict.fromkeys("none" if value is None else str(value) for value in there)
        raise UserError(
            f"no checkpoint has {alone[0] if alone else ' and '.join(where)}", allowed=", ".join(values)
        )
    return found


def _condition(text: str, checkpoints: Sequence[Checkpoint]) -> Callable[[Checkpoint], bool]:
    match = _CONDITION.match(text)
    if match is None:
        raise UserError(f"{text!r} is no condition", allowed="KEY=VALUE, or != < <= > >=")
    key, sign, wanted = match.groups()
    keys = [*_FACTS, *dict.fromkeys(name for c in checkpoints for name in c.hyperparameters)]
    if key not in keys:
        raise UnknownNameError("key of a checkpoint", key, keys)
    if sign in _ORDERS:
        bound = _number(wanted)
        if bound is None:
            raise UserError(f"{text!r} compares with {wanted!r}", allowed="a number after < <= > >=")

        def in_order(checkpoint: Checkpoint) -> bool:
            value = _number(_value(checkpoint, key))
            return value is not None and _ORDERS[sign](value, bound)

        return in_order
    return lambda checkpoint: _is_any(_value(checkpoint, key), wanted) == (sign == "=")


def _is_any(value: Value, wanted: str) -> bool:
    number = _number(value)
    text = "none" if value is None else str(value)
    return any(
        fnmatchcase(text, one) or (number is not None and number == _number(one))
        for one in map(str.strip, wanted.split("|"))
    )


def _value(checkpoint: Checkpoint, key: str) -> Value:
    return getattr(checkpoint, key) if key in _FACTS else checkpoint.hyperparameters.get(key)


def _number(value: Value) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        return None


def _chosen(columns: Sequence[ScorerColumn], view: View) -> tuple[ScorerColumn, ...]:
    by_name = {column.name: column for column in columns}
    for name in view.scorers:
        if name not in by_name:
            raise UnknownNameError("scorer of this leaderboard", name, by_name)
    for axis in view.axes:
        if axis not in {column.axis for column in columns}:
            raise UnknownNameError("axis of this leaderboard", axis, {c.axis for c in columns})
    found = tuple(
        by_name[name]
        for name in dict.fromkeys(view.scorers or by_name)
        if (not view.axes or by_name[name].axis in view.axes) and (by_name[name].primary or not view.primary)
    )
    if not found and columns:
        raise UserError("no scorer is left to show", allowed=", ".join(by_name))
    return found


def _sorted(board: Leaderboard, sort: str | None) -> list[LeaderboardRow]:
    if sort is None:
        return list(board.rows)
    name = sort.removeprefix("-")
    costs = tuple(vars(Cost()))
    position = {column.name: i for i, column in enumerate(board.columns)}
    settings = dict.fromkeys(key for row in board.rows for key in row.checkpoint.hyperparameters)
    known = [*position, *_FACTS, *costs, *settings]
    if name not in known:
        raise UnknownNameError("key to sort by", name, known)
    best_first = name in position and board.columns[position[name]].higher_is_better

    def key(row: LeaderboardRow) -> Value:
        if name in position:
            return row.cells[position[name]].mean
        return getattr(row.cost, name) if name in costs else _value(row.checkpoint, name)

    known_rows = [row for row in board.rows if key(row) is not None]
    numbers = all(_number(key(row)) is not None for row in known_rows)
    ordered = sorted(
        known_rows,
        key=lambda row: (_number(key(row)) or 0.0, "") if numbers else (0.0, str(key(row))),
        reverse=best_first != sort.startswith("-"),
    )
    return [*ordered, *(row for row in board.rows if key(row) is None)]
