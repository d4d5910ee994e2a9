"""Scores, trade-off planes, gaps and the breakdown by tag, by position instead of by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.core.records import (
    UNDEFINED,
    Checkpoint,
    FrontierPoint,
    Leaderboard,
    Plane,
    PlanePoint,
    Prompt,
    ScorerColumn,
    TagCell,
)
from benchmark.leaderboard import ScoreTable
from benchmark.report.finding import finding
from benchmark.report.numbers import round_to
from benchmark.report.palette import numbers_of_lines

_FINE = 7
"""Significant digits of what is drawn and never written out: finer than a pixel, whatever the unit."""


def planes_of(
    board: Leaderboard, positions: Mapping[str, int], methods: Sequence[str]
) -> list[dict[str, Any]]:
    """The planes; ``x`` and ``y`` are positions of scorers.

    Args:
        board: The ranking.
        positions: Of the checkpoints, by id.
        methods: On the page.

    Returns:
        Plain values in the order of the planes.
    """
    scorers = {column.name: j for j, column in enumerate(board.columns)}
    return [
        {"finding": _finding(board, plane), **_plane(plane, scorers, positions, methods)}
        for plane in board.planes
    ]


def _finding(board: Leaderboard, plane: Plane) -> str:
    """What the plane shows, of its two scorers alone."""
    column = {column.name: column for column in board.columns}
    return finding(board, column[plane.upward], [column[plane.across]])


def _plane(
    plane: Plane, scorers: Mapping[str, int], positions: Mapping[str, int], methods: Sequence[str]
) -> dict[str, Any]:
    # The optimum under a divergence has the colour of what was trained under it.
    optima = [f.divergence for f in plane.frontiers if f.divergence]
    looks = numbers_of_lines(optima, methods)
    return {
        "x": scorers[plane.across],
        "y": scorers[plane.upward],
        "points": [
            {
                "i": positions[p.checkpoint],
                "may": p.may_be_on_front,
                "support": p.support,
                **_place(p),
            }
            for p in plane.points
        ],
        "notes": list(plane.front_notes),
        "frontiers": [
            {
                "name": f.name,
                "divergence": f.divergence,
                "look": looks.get(f.divergence),
                "points": [
                    {"label": p.label, "hollow": p.hollow, "share": p.effective_share, **_place(p)}
                    for p in f.points
                ],
            }
            for f in plane.frontiers
        ],
    }


def _place(point: PlanePoint | FrontierPoint) -> dict[str, Any]:
    """Where it is and, where there is one, its region as covariance and squared radius."""
    region = None
    if point.covariance is not None and point.q is not None:
        region = [round_to(v, _FINE) for v in (*point.covariance, point.q)]
    # Unrounded: rounded twice a number may end in another digit than the table's.
    return {"at": [point.x, point.y], "n": [point.n_x, point.n_y], "region": region}


def gaps_of(board: Leaderboard, positions: Mapping[str, int]) -> list[dict[str, Any]]:
    """One entry for each gap that is asked for, with the checkpoints' values.

    Args:
        board: The ranking.
        positions: Of the checkpoints, by id.

    Returns:
        Entries of ``kind``, ``gained``, ``heldOut`` and ``values``: for each checkpoint value, lower and
        upper end and number of prompts, or None.
    """
    found: dict[tuple[str, str, tuple[str, ...]], dict[str, Any]] = {}
    for gap in board.gaps:
        facts = {"kind": gap.kind, "gained": gap.gained, "heldOut": list(gap.held_out)}
        entry = found.setdefault(
            (gap.kind, gap.gained, gap.held_out), facts | {"values": [None] * len(positions)}
        )
        numbers = (gap.value, gap.lo, gap.hi)
        entry["values"][positions[gap.checkpoint]] = [*numbers, gap.n_prompts]
    return list(found.values())


def tags_of(
    columns: Sequence[ScorerColumn],
    by_tag: Sequence[TagCell],
    places: Sequence[int],
    positions: Mapping[str, int],
) -> dict[str, Any]:
    """The breakdown by tag.

    Args:
        columns: The scorers.
        by_tag: The breakdown.
        places: Decimals of each scorer's means.
        positions: Of the checkpoints, by id.

    Returns:
        ``tags`` by name, and ``cells``: for each scorer (None where it has no breakdown) for each tag for
        each checkpoint the number of prompts, the mean, the difference and its ends.
    """
    tags = {tag: t for t, tag in enumerate(dict.fromkeys(cell.tag for cell in by_tag))}
    scorers = {column.name: j for j, column in enumerate(columns)}
    cells: list[Any] = [None] * len(scorers)
    for cell in by_tag:
        j = scorers[cell.scorer]
        if cells[j] is None:
            cells[j] = [[None] * len(positions) for _ in tags]
        numbers = (cell.mean, cell.difference, cell.lo, cell.hi)
        # As it is shown: a second rounding could end in another digit than the tables do.
        rounded = [None if v is None else round(v, places[j]) for v in numbers]
        cells[j][tags[cell.tag]][positions[cell.checkpoint]] = [cell.n_prompts, *rounded]
    return {"tags": list(tags), "cells": cells}


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
    at_checkpoint = {c.id: i for i, c in enumerate(checkpoints)}
    at_prompt = {p.id: i for i, p in enumerate(prompts)}
    at_seed = {seed: i for i, seed in enumerate(seeds)}
    found: list[list[Any] | None] = []
    for column, digits in zip(columns, places, strict=True):
        rows = table.rows_of(column.name)
        if column.unit == "set" or rows.empty:
            found.append(None)
            continue
        rows = rows[rows["value"].notna()]
        if column.unit == "image":
            rows = rows[rows["seed"].isin(list(seeds))]
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
