"""Whom a user means: what stands behind ``--baseline`` and ``--candidate``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint
from benchmark.leaderboard import ScoreTable, join_tables, read_score_table
from benchmark.leaderboard.comparable import comparable
from benchmark.leaderboard.same_method import method_facts


@dataclass(frozen=True, eq=False)
class Sides:
    """Two groups of checkpoints in one table.

    Attributes:
        table: Scores of both, and of whatever else was in their evaluations.
        baseline: One checkpoint, or the runs of a method.
        candidate: The same.
    """

    table: ScoreTable
    baseline: tuple[Checkpoint, ...]
    candidate: tuple[Checkpoint, ...]


def find_sides(
    baseline: Sequence[str], candidate: Sequence[str], places: Sequence[Path], scorers: Sequence[str] = ()
) -> Sides:
    """Reads the evaluations and finds the checkpoints that are meant.

    A text is the id of a checkpoint, the beginning of one id alone, or an evaluation: its folder or its
    ``scores.parquet``. An evaluation stands for all its trained checkpoints, or for its base model if there
    is no other.

    Args:
        baseline: Texts of the one side.
        candidate: Texts of the other.
        places: Evaluations in which ids are looked for, beside those that are named as a side.
        scorers: Those that must agree; empty for all that every evaluation has.

    Returns:
        Both sides, each at least one checkpoint, none on both.

    Raises:
        UserError: for an unknown id, a checkpoint on both sides, or runs of several methods on one.
        NotComparableError: if two signatures differ; the first difference is named.
    """
    tables = {path.resolve(): read_score_table(path) for path in places}
    ids = {checkpoint.id for table in tables.values() for checkpoint in table.checkpoints}
    named = {text: Path(text) for text in (*baseline, *candidate) if text not in ids and _is_table(text)}
    for path in named.values():
        if path.resolve() not in tables:
            tables[path.resolve()] = read_score_table(path)
    if not tables:
        raise UserError(
            f"there is no evaluation at {(*baseline, *candidate)[0]}",
            allowed="folders of `fbench eval`, or ids of checkpoints with the folders after them",
        )
    # Under the names that they have side by side: models whose folders are called alike are told apart.
    tables = dict(zip(tables, comparable([*tables.values()], scorers), strict=True))
    joined = join_tables([*tables.values()], scorers)

    def meant(texts: Sequence[str]) -> tuple[Checkpoint, ...]:
        found = [
            checkpoint
            for text in texts
            for checkpoint in (
                _trained(tables[named[text].resolve()]) if text in named else [_by_id(text, joined)]
            )
        ]
        return tuple({checkpoint.id: checkpoint for checkpoint in found}.values())

    sides = Sides(joined, meant(baseline), meant(candidate))
    _check(sides)
    return sides


def _is_table(text: str) -> bool:
    path = Path(text)
    return path.is_file() or (path / "scores.parquet").is_file()


def _trained(table: ScoreTable) -> Sequence[Checkpoint]:
    return [c for c in table.checkpoints if not c.is_base] or table.checkpoints


def _by_id(text: str, table: ScoreTable) -> Checkpoint:
    """The checkpoint of this id, or the only one whose id begins so: ids end with a hash."""
    known = {checkpoint.id: checkpoint for checkpoint in table.checkpoints}
    begin = [id_ for id_ in known if id_.startswith(text)]
    if text not in known and len(begin) != 1:
        raise UnknownNameError(
            "checkpoint", text, begin or known, do="name an id, or a folder that holds scores.parquet"
        )
    return known[text if text in known else begin[0]]


def _check(sides: Sides) -> None:
    twice = {c.id for c in sides.baseline} & {c.id for c in sides.candidate}
    if twice:
        raise UserError(
            f"{min(twice)} is both baseline and candidate",
            do="name two, by their ids where a folder holds both",
        )
    for which, runs in (("baseline", sides.baseline), ("candidate", sides.candidate)):
        first, *others = method_facts(runs)
        for run, other in zip(runs[1:], others, strict=True):
            for fact, value in first.items():
                if value != other[fact]:
                    raise UserError(
                        f"the {which} is not one method: {fact} is {value} in {runs[0].id} and {other[fact]} "
                        f"in {run.id}",
                        do="name the checkpoints that are meant by their ids",
                    )
