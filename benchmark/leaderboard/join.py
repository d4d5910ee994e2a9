"""Several score tables as one, if their numbers may stand side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from benchmark.core.errors import ConfigError, NotComparableError
from benchmark.leaderboard.comparable import comparable
from benchmark.leaderboard.score_table import ScoreTable

KEY = ["checkpoint", "scorer", "prompt_id", "seed"]
_SAME = 1e-4
"""Relative difference up to which a row that occurs twice is one row (another batch size moves
the last digits)."""

_T = TypeVar("_T")


def join_tables(tables: Sequence[ScoreTable], scorers: Sequence[str] = ()) -> ScoreTable:
    """One table of all rows.

    A checkpoint that was evaluated twice (usually the base) is taken once, if its numbers agree.

    Args:
        tables: At least one.
        scorers: As of :func:`benchmark.leaderboard.comparable.comparable`, which makes them agree in names.

    Returns:
        A table with the first one's suite, signature and prompt ids.

    Raises:
        ConfigError: If there is no table.
        NotComparableError: If two signatures differ (the first difference is named), if two checkpoints of
            ours share an id, or if a row that occurs twice has two values.
    """
    if not tables:
        raise ConfigError("no score table was given", do="name at least one evaluation folder")
    tables = comparable(tables, scorers)
    first = tables[0]
    checkpoints = _unique((c for table in tables for c in table.checkpoints), "id")
    columns = tuple(
        replace(column, in_domain=_in_domain(column.name, tables))
        for column in _unique((c for table in tables for c in table.columns), "name")
    )
    rows = _distinct_rows(pd.concat([table.rows for table in tables], ignore_index=True))
    source = ", ".join(table.source or table.suite for table in tables)
    return replace(
        first,
        rows=rows,
        checkpoints=checkpoints,
        columns=columns,
        source=source,
        # What it took may differ, the first that tells is taken; what prompts are about may not.
        costs={id_: cost for table in reversed(tables) for id_, cost in table.costs.items()},
        tags={id_: tags for table in reversed(tables) for id_, tags in table.tags.items()},
        remarks=tuple(dict.fromkeys(remark for table in tables for remark in table.remarks)),
    )


def _unique(records: Iterable[_T], key: str) -> tuple[_T, ...]:
    found: dict[str, _T] = {}
    for record in records:
        known = found.setdefault(getattr(record, key), record)
        ours, theirs = _facts(known), _facts(record)
        for fact in ours:
            if ours[fact] != theirs[fact]:
                raise NotComparableError(
                    f"two different {type(record).__name__}s are called {getattr(record, key)}: {fact} is "
                    f"{ours[fact]} in one and {theirs[fact]} in the other",
                    do="leave one of the two evaluations out",
                )
    return tuple(found.values())


def _in_domain(scorer: str, tables: Sequence[ScoreTable]) -> tuple[str, ...]:
    """The checkpoints of all tables that a scorer is in-domain for: each table knows its own."""
    named = (id_ for t in tables for column in t.columns if column.name == scorer for id_ in column.in_domain)
    return tuple(dict.fromkeys(named))


def _facts(record: object) -> dict[str, object]:
    """All that must agree: where the weights lie and who trained on what may differ by folder.

    So may the bounds, which older tables lack; the version says whether the scorer is the same.
    """
    return {k: v for k, v in vars(record).items() if k not in ("path", "in_domain", "bounds")}


def _distinct_rows(rows: pd.DataFrame) -> pd.DataFrame:
    repeated = rows.duplicated(KEY, keep=False)
    if not repeated.any():
        return rows
    # A row with a value says more than the same row without one.
    rows = rows.assign(_gap=rows["value"].isna()).sort_values("_gap", kind="stable")
    kept = rows.drop_duplicates(KEY)
    both = rows[rows.duplicated(KEY)].merge(kept, on=KEY, suffixes=("", "_kept"))
    value = both["value"].to_numpy(np.float64)
    value_kept = both["value_kept"].to_numpy(np.float64)
    scale = np.abs(value_kept) + 1e-3
    apart = np.abs(value - value_kept) > _SAME * scale
    if apart.any():
        row = both[apart].iloc[0]
        raise NotComparableError(
            f"{row['scorer']} of {row['checkpoint']} at {row['prompt_id']}/{row['seed']} is "
            f"{row['value_kept']:.6g} in one table and {row['value']:.6g} in another",
            do="leave one of the two evaluations of this checkpoint out",
        )
    return kept.drop(columns="_gap").sort_index()
