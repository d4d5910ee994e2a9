"""Scores image by image and the rows without a value, by position instead of by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.core.records import UNDEFINED, Checkpoint, Prompt, ScorerColumn
from benchmark.leaderboard import ScoreTable

_EXTRA_PLACES = 1
"""One image's number beside a mean over hundreds: one more digit than the mean deserves tells ties apart."""


def score_arrays(
    table: ScoreTable,
    columns: Sequence[ScorerColumn],
    places: Sequence[int],
    checkpoints: Sequence[Checkpoint],
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
) -> list[list[Any] | None]:
    """The numbers of each scorer, checkpoints first, then prompts, then k's.

    Args:
        table: All rows.
        columns: Which scorers.
        places: Decimals of each scorer's means.
        checkpoints: Order of the first axis.
        prompts: Order of the second.
        seeds: Order of the third; a scorer of unit prompt has no third axis.

    Returns:
        Nested lists, None for a number that is not there, one for each scorer; None for one of unit set.
    """
    by_scorer = dict(iter(table.rows.groupby("scorer", sort=False)))
    at_checkpoint = {c.id: i for i, c in enumerate(checkpoints)}
    at_prompt = {p.id: i for i, p in enumerate(prompts)}
    at_seed = {seed: i for i, seed in enumerate(seeds)}
    found: list[list[Any] | None] = []
    for column, digits in zip(columns, places, strict=True):
        rows = by_scorer.get(column.name)
        if column.unit == "set" or rows is None:
            found.append(None)
            continue
        rows = rows[rows["value"].notna()]
        where = [rows["checkpoint"].map(at_checkpoint), rows["prompt_id"].map(at_prompt)]
        shape = [len(checkpoints), len(prompts)]
        if column.unit == "image":
            where.append(rows["seed"].map(at_seed))
            shape.append(len(seeds))
        values = np.full(shape, np.nan)
        values[tuple(i.to_numpy(np.int64) for i in where)] = rows["value"].to_numpy(np.float64)
        rounded = values.round(digits + _EXTRA_PLACES).astype(object)
        rounded[np.isnan(values)] = None
        found.append(rounded.tolist())
    return found


def missing_rows(
    table: ScoreTable, checkpoints: Sequence[Checkpoint], prompts: Sequence[Prompt]
) -> tuple[list[dict[str, Any]], int]:
    """The rows without a value, the scorers that one cause cost in one entry.

    Args:
        table: All rows.
        checkpoints: Their order.
        prompts: Their order.

    Returns:
        Entries of ``checkpoint`` and ``prompt`` by position (None: not one of them), the prompt's id, k,
        scorers, status and note; and how many rows have no value because there is none to be had.
    """
    at_checkpoint = {c.id: i for i, c in enumerate(checkpoints)}
    at_prompt = {p.id: i for i, p in enumerate(prompts)}
    gaps = table.rows[table.rows["status"] != "ok"]
    undefined = gaps["note"].str.startswith(UNDEFINED)
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    for row in gaps[~undefined].to_dict("records"):
        prompt = None if pd.isna(row["prompt_id"]) else row["prompt_id"]
        k = None if pd.isna(row["seed"]) else int(row["seed"])
        entry = {
            "checkpoint": at_checkpoint.get(row["checkpoint"]),
            "prompt": at_prompt.get(prompt) if prompt else None,
            "promptId": prompt,
            "k": k,
            "scorers": [],
            "status": row["status"],
            "note": row["note"],
        }
        cause = (row["checkpoint"], prompt, k, row["status"], row["note"])
        found.setdefault(cause, entry)["scorers"].append(row["scorer"])
    return list(found.values()), int(undefined.sum())
