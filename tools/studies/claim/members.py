"""The finished members: a small table each, with a header that says what it was made with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmark.core.errors import MissingFileError, NotComparableError
from benchmark.core.hashing import plain, sha256_json
from benchmark.core.manifest import FILE_NAME, read_manifest, track
from benchmark.core.records import UNDEFINED, ScoreRow
from benchmark.leaderboard import ScoreTable, join_tables, read_score_table, rows_to_frame, write_score_table
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.stats.cells import prompt_means
from tools.studies.claim.design import Design, Member

KIND: Final = "claim"
TABLE: Final = "scores.parquet"
_BASE: Final = "base model"


def compact(table: ScoreTable) -> ScoreTable:
    """A table's means by prompt, from which every answer of the study follows.

    A member's table then has some 10 KB. Texts and tags of the prompts are the base's alone, which every
    study has.

    Args:
        table: Scores of images and of prompts, none of them failed.
    """
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    rows: list[ScoreRow] = []
    for column in table.columns:
        own = table.rows[table.rows["scorer"] == column.name]
        prompts = sorted(own["prompt_id"].unique())
        means = prompt_means(cells_of(own, ids))
        # A prompt that a checkpoint was not asked has no row, as before.
        asked = set(zip(own["checkpoint"], own["prompt_id"], strict=True))
        rows += [
            ScoreRow(id_, column.name, column.version, prompt, None, None, "missing", UNDEFINED)
            if np.isnan(value)
            else ScoreRow.measured(id_, column.name, column.version, float(value), prompt)
            for id_, values in zip(ids, means, strict=True)
            for prompt, value in zip(prompts, values, strict=True)
            if (id_, prompt) in asked
        ]
    columns = tuple(replace(column, unit="prompt") for column in table.columns)
    small = replace(table, rows=rows_to_frame(rows), columns=columns)
    has_base = any(checkpoint.is_base for checkpoint in table.checkpoints)
    return small if has_base else replace(small, tags={}, prompts={})


def is_kept(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether a folder holds a finished table that was made with these settings.

    Raises:
        NotComparableError: if it was made with others: numbers of two designs are never mixed.
        UnreadableFileError: if its header is damaged.
    """
    if not (folder / FILE_NAME).is_file():
        return False
    header = read_manifest(folder)
    if header.differences(settings):
        raise NotComparableError(
            f"{folder} was made with other settings: {_first(header.config, plain(settings))}",
            do="delete it to make it anew, or name another --results",
        )
    return header.status == "success"


def keep(
    folder: Path, settings: Mapping[str, Any], table: ScoreTable, device: str, command: str, base: str = ""
) -> None:
    """Writes a finished table with its header.

    Args:
        folder: Of its own.
        settings: All that decides its numbers.
        table: As of :func:`compact`.
        device: Where it was made.
        command: As typed.
        base: Revision of the base model's weights.
    """
    with track(folder, KIND, settings, device=device, command=command) as header:
        header.add_input("settings", sha256_json(settings))
        header.add_input(_BASE, base)
        header.add_output(write_score_table(table, folder / TABLE))


def is_finished(design: Design, member: Member) -> bool:
    """Whether a member's table is there; see :func:`is_kept`."""
    return is_kept(design.results / member.name, design.settings(member))


def _first(theirs: object, ours: object, name: str = "") -> str:
    """The first setting in which two differ, in words."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            if theirs.get(key) != ours.get(key):
                return _first(theirs.get(key), ours.get(key), f"{name}.{key}".strip("."))
    return f"{name} is {theirs} there and {ours} here"


def write_member(design: Design, member: Member, table: ScoreTable, command: str, base: str) -> None:
    """Writes a finished member; see :func:`keep`."""
    keep(design.results / member.name, design.settings(member), table, design.device, command, base)


def read_members(design: Design, members: Iterable[Member] | None = None) -> ScoreTable:
    """All finished members as one table, each member's final checkpoint before its half-way one.

    Args:
        design: Which members there may be, and where.
        members: Only these; None for all of the design.

    Raises:
        MissingFileError: if the base model is not among them.
        NotComparableError: if they were made with other settings, weights or pairs, or judged otherwise.
    """
    wanted = [m for m in (design.members if members is None else members) if is_finished(design, m)]
    if not any(not member.objective for member in wanted):
        raise MissingFileError(
            design.results / "base", "member", do="run `python -m tools.studies.claim members` first"
        )
    table = join_tables([read_score_table(design.results / member.name) for member in wanted])
    headers = [read_manifest(design.results / member.name) for member in wanted]
    bases = {item.sha256 for header in headers for item in header.inputs if item.path == _BASE}
    data = {c.data_sha256 for c in table.checkpoints if not c.is_base}
    for what, found in (("weights of the base model", bases), ("training pairs", data)):
        if len(found) > 1:
            raise NotComparableError(
                f"the members of {design.results} were made with {len(found)} different {what}",
                do="delete those of before the change, and make them anew",
            )
    return table


def seconds_each(tables: Sequence[Path]) -> float | None:
    """What a member took on average, training and images; None where nobody counted."""
    costs = [cost for path in tables for cost in read_score_table(path).costs.values()]
    known = [(cost.train_seconds or 0.0) + (cost.eval_seconds or 0.0) for cost in costs]
    return sum(known) / len(tables) if any(known) else None
