"""Trade-off planes, gaps and the breakdown by tag, by position instead of by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.core.records import FrontierPoint, Leaderboard, Plane, PlanePoint, ScorerColumn, TagCell
from benchmark.report.numbers import round_to

_FINE = 7
"""Significant digits of what is drawn and never written out: finer than a pixel, whatever the unit."""


def planes_of(board: Leaderboard, positions: Mapping[str, int]) -> list[dict[str, Any]]:
    """The planes; ``x`` and ``y`` are positions of scorers.

    Args:
        board: The ranking.
        positions: Of the checkpoints, by id.

    Returns:
        Plain values in the order of the planes.
    """
    scorers = {column.name: j for j, column in enumerate(board.columns)}
    return [_plane(plane, scorers, positions) for plane in board.planes]


def _plane(plane: Plane, scorers: Mapping[str, int], positions: Mapping[str, int]) -> dict[str, Any]:
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
            {"name": f.name, "points": [{"label": p.label, **_place(p)} for p in f.points]}
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
        asked = {"kind": gap.kind, "gained": gap.gained, "heldOut": list(gap.held_out)}
        entry = found.setdefault(
            (gap.kind, gap.gained, gap.held_out), asked | {"values": [None] * len(positions)}
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
