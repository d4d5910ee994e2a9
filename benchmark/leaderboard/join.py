"""Several score tables as one, if their numbers may stand side by side: under one set of names."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from benchmark.core.errors import ConfigError, NotComparableError, UnknownNameError
from benchmark.core.naming import name_of, told_apart
from benchmark.core.records import EXTERNAL
from benchmark.leaderboard.comparability import (
    first_difference,
    prompt_difference,
    prompt_ids_in,
    signature_about,
)
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.jackknife import LEAVE_OUT

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
        scorers: As of :func:`benchmark.leaderboard.join.comparable`, which makes them agree in names.

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
    # A single table is not copied: it may be large.
    joined = (
        first.rows if len(tables) == 1 else pd.concat([table.rows for table in tables], ignore_index=True)
    )
    rows = _distinct_rows(joined)
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


def comparable(tables: Sequence[ScoreTable], scorers: Sequence[str] = ()) -> list[ScoreTable]:
    """The tables with the same signature, scorers and prompt ids.

    Prompt sets are compared by their prompts: those of a later table take the ids of the first. Models of
    one name that made other images elsewhere are told apart by the folders of their tables.

    Args:
        tables: As they were read.
        scorers: Those that will be looked at; others are left out where the tables differ in them. Empty: all
            that every table has; a remark says which are left out.

    Returns:
        As many, in the same order.

    Raises:
        NotComparableError: If two differ in prompts, sampling or the version of a scorer, or one lacks a
            scorer that was asked for; the first difference is named.
        UnknownNameError: For a scorer that no table has.
    """
    if len(tables) < 2:
        return list(tables)
    kept, remarks = _common(tables, scorers)
    first = _with_scorers(tables[0], kept)
    first = replace(first, remarks=(*first.remarks, *remarks))
    return _told_apart([first, *(_like(first, _with_scorers(table, kept)) for table in tables[1:])])


def _common(tables: Sequence[ScoreTable], scorers: Sequence[str]) -> tuple[set[str], list[str]]:
    """The scorers to compare, and a sentence on those that are left out although nobody asked for it."""
    held = [{column.name for column in table.columns} for table in tables]
    known = list(dict.fromkeys(column.name for table in tables for column in table.columns))
    for name in scorers:
        if name not in known:
            raise UnknownNameError("scorer of this evaluation", name, known)
    common = set.intersection(*held)
    wanted = [*scorers] or known
    partial = [name for name in wanted if name not in common]
    if partial and (scorers or not common):
        lacks = next(table for table, own in zip(tables, held, strict=True) if partial[0] not in own)
        raise NotComparableError(
            f"{partial[0]} is absent in {_called(lacks)}",
            allowed=f"scorers of all of them: {', '.join(sorted(common)) or 'there are none'}",
            do="score it by the same scorers",
        )
    if scorers:
        versions = [{column.name: column.version for column in table.columns} for table in tables]
        alike = {name for name in common if len({of[name] for of in versions}) == 1}
        return alike | set(scorers), []
    remark = f"Left out, as not every evaluation has them: {', '.join(partial)}."
    return common, [remark] if partial else []


def _with_scorers(table: ScoreTable, names: set[str]) -> ScoreTable:
    if names == {column.name for column in table.columns}:
        return table
    return replace(
        table,
        rows=table.rows[table.rows["scorer"].isin(names)].reset_index(drop=True),
        signature=signature_about(table.signature, table.columns, names),
        columns=tuple(column for column in table.columns if column.name in names),
    )


def _like(first: ScoreTable, table: ScoreTable) -> ScoreTable:
    """A table under the signature and the prompt ids of the first.

    Raises:
        NotComparableError: If it is of other prompts, or their signatures differ in anything else.
    """
    ours, theirs = _split(first), _split(table)
    ids = prompt_ids_in(first.prompts, table.prompts) if first.prompts and table.prompts else None
    if ids is None or first.images_per_prompt != table.images_per_prompt:
        found = first_difference(ours[0], theirs[0])
        if ids is None and first.prompts and table.prompts:
            found = ": ".join([*([found] if found else []), prompt_difference(first.prompts, table.prompts)])
    else:
        found = None
    found = found or first_difference(ours[1], theirs[1])
    if found:
        raise NotComparableError(
            f"{_called(first)} and {_called(table)} are not comparable: {found}",
            do="evaluate both with the same settings, show them apart, or name the --scorers to compare",
        )
    table = replace(table, signature=first.signature)
    return table if ids is None or all(id_ == name for id_, name in ids.items()) else _renamed(table, ids)


def _split(table: ScoreTable) -> tuple[str, str]:
    """The part of a signature that is about the prompt set, and the rest."""
    parts = table.signature.split("|")
    return (
        "|".join(part for part in parts if part.startswith("set:")),
        "|".join(part for part in parts if not part.startswith("set:")),
    )


def _renamed(table: ScoreTable, ids: dict[str, str]) -> ScoreTable:
    rows = table.rows
    groups = rows["prompt_id"].str.startswith(LEAVE_OUT, na=False)
    remarks = []
    if groups.any():
        # Prompts are dealt into the groups of the jackknife by their ids: these are other groups.
        rows = rows[~groups].reset_index(drop=True)
        remarks = [f"No intervals for set metrics of {_called(table)}: its prompts have other ids."]
    return replace(
        table,
        rows=rows.assign(prompt_id=rows["prompt_id"].map(ids).astype(rows["prompt_id"].dtype)),
        tags={ids.get(id_, id_): tags for id_, tags in table.tags.items()},
        prompts={ids[id_]: content for id_, content in table.prompts.items()},
        remarks=(*table.remarks, *remarks),
    )


def _told_apart(tables: list[ScoreTable]) -> list[ScoreTable]:
    """Tables in which no two models' images have one name, as they have where folders are called alike."""
    # Each set of images once, by content: where it was scored does not make it another one.
    places: dict[tuple[str, str | None], Path] = {}
    for i, table in enumerate(tables):
        for c in table.checkpoints:
            if c.base_model == EXTERNAL:
                places.setdefault((c.id, c.revision), _place(table, i))
    names = dict(zip(places, told_apart([id_ for id_, _ in places], [*places.values()]), strict=True))
    if all(id_ == name for (id_, _), name in names.items()):
        return tables
    return [_called_anew(table, names) for table in tables]


def _place(table: ScoreTable, index: int) -> Path:
    """The folder of an evaluation, or a file that is called otherwise without its ending."""
    source = Path(table.source or str(index))
    if source.name == "scores.parquet":
        return source.parent
    return source.parent / name_of(source, (".parquet",))


def _called_anew(table: ScoreTable, names: dict[tuple[str, str | None], str]) -> ScoreTable:
    new = {c.id: names.get((c.id, c.revision), c.id) for c in table.checkpoints}
    rows = table.rows
    return replace(
        table,
        rows=rows.assign(checkpoint=rows["checkpoint"].map(new).astype(rows["checkpoint"].dtype)),
        checkpoints=tuple(replace(c, id=new[c.id]) for c in table.checkpoints),
        columns=tuple(
            replace(column, in_domain=tuple(new.get(id_, id_) for id_ in column.in_domain))
            for column in table.columns
        ),
        costs={new.get(id_, id_): cost for id_, cost in table.costs.items()},
    )


def _called(table: ScoreTable) -> str:
    return table.source or table.suite
