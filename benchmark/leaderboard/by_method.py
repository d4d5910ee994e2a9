"""The leaderboard of methods: training runs that are alike but for their seed become one row."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmark.core.console import doing
from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell, LeaderboardRow
from benchmark.leaderboard.join import join_tables
from benchmark.leaderboard.method_cells import method_cells
from benchmark.leaderboard.notes import SEEDS, method_notes
from benchmark.leaderboard.same_method import Method, find_method, methods_of
from benchmark.leaderboard.score_arrays import sizes_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.cells import MAX_SHARE


@doing("ranking")
def build_method_leaderboard(
    tables: Sequence[ScoreTable], *, reference: str | None = None, scorers: Sequence[str] = ()
) -> Leaderboard:
    """Means of methods, their differences from a reference, and tie groups, over training seeds and prompts.

    A pure function of the tables. A difference is paired by training seed, prompt and image; a base model is
    the same for every seed. It has an interval and a p if the two share at least eight training seeds in
    `shapes`, five elsewhere. A run with more than 1 % of a scorer's values missing leaves that scorer's
    column, and is named.

    Args:
        tables: Score tables with equal signatures.
        reference: Method that the others are compared with, see
            :func:`benchmark.leaderboard.same_method.find_method`; by default the first base model, or the
            first method where there is none.
        scorers: As of :func:`benchmark.leaderboard.build_leaderboard`.

    Returns:
        One row a method, its `checkpoint` made up: the id is the method's name with the number of seeds, the
        hyperparameters are those in which its runs agree, and their `seeds`. No planes, gaps or tags.

    Raises:
        NotComparableError: If the tables must not be joined.
        UnknownNameError: If the reference is not among the methods.
        UserError: If two runs of one method have the same training seed, or several methods are called like
            the reference.
    """
    table = join_tables(tables, scorers)
    methods = methods_of(table.checkpoints)
    bases = [method for method in methods if method.is_base]
    reference_method = (bases or methods)[0] if reference is None else find_method(reference, methods)
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    cells = [
        method_cells(facts, table.rows_of(facts.name), methods, ids, reference_method)
        for facts in table.columns
    ]
    rows = tuple(_rows(table, methods, cells))
    columns = tuple(
        replace(
            column,
            in_domain=tuple(m.title for m in methods if {run.id for run in m.runs} & set(column.in_domain)),
        )
        for column in table.columns
    )
    return Leaderboard(
        suite=table.suite,
        rows=rows,
        built_from=tuple(t.source for t in tables if t.source),
        columns=columns,
        reference=reference_method.title,
        signature=table.signature,
        notes=(*method_notes(columns, rows, reference_method.title), *table.remarks),
    )


def _rows(
    table: ScoreTable, methods: Sequence[Method], columns: Sequence[Sequence[LeaderboardCell]]
) -> Iterator[LeaderboardRow]:
    n_prompts, n_images = sizes_of(table)
    for i, method in enumerate(methods):
        cells = tuple(column[i] for column in columns)
        missing = sum(cell.n_missing for cell in cells)
        yield LeaderboardRow(
            checkpoint=_as_checkpoint(method),
            n_prompts=max(n_prompts.get(run.id, 0) for run in method.runs),
            n_images=sum(n_images.get(run.id, 0) for run in method.runs),
            n_missing=missing,
            cells=cells,
            ranked=missing <= MAX_SHARE * (missing + sum(cell.n for cell in cells)),
        )


def _as_checkpoint(method: Method) -> Checkpoint:
    first, *others = method.runs
    if not method.seeds:
        return first
    agreed = {
        name: value
        for name, value in first.hyperparameters.items()
        if all(name in run.hyperparameters and run.hyperparameters[name] == value for run in others)
    }
    agreed[SEEDS] = " ".join(map(str, method.seeds))
    return replace(first, id=method.title, hyperparameters=agreed, revision=None, path=None)
