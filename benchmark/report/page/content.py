"""The page's content as plain values: the scripts in `assets/` read exactly this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmark.core.manifest import Manifest
from benchmark.core.records import (
    Checkpoint,
    Cost,
    ImageSet,
    Leaderboard,
    LeaderboardCell,
    Prompt,
    ScorerColumn,
    TagCell,
    WorkerSpeed,
)
from benchmark.leaderboard import ScoreTable
from benchmark.leaderboard.by_tag import prompt_tags, tag_cells
from benchmark.leaderboard.names import display_names, method_name, method_order, seed_groups
from benchmark.prompt_sets.tags import tag_meaning
from benchmark.report.data_files import csv_text
from benchmark.report.finding import finding
from benchmark.report.numbers import better_or_worse, decimals
from benchmark.report.page.by_position import gaps_of, missing_rows, planes_of, score_arrays, tags_of
from benchmark.report.page.training import TrainingRun, training_of
from benchmark.report.palette import numbers_of
from benchmark.report.panels import remarks
from benchmark.report.sections import signature_of
from benchmark.report.titles import column_title
from benchmark.scorers import scorers
from benchmark.stats.jackknife import LEAVE_OUT


@dataclass(frozen=True)
class PageSource:
    """The source of a page.

    Attributes:
        leaderboard: The ranking.
        table: The rows it was built from.
        image_sets: What was scored; empty where the images are not at hand.
        manifests: Of the evaluations, then of the training runs.
        training: What the runs behind the checkpoints logged, where they still lie where they lay.
        notes: Sentences about the page itself, such as why it holds no pictures.
        workers: The part of each worker, where several did the work.
    """

    leaderboard: Leaderboard
    table: ScoreTable
    image_sets: tuple[ImageSet, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    training: tuple[TrainingRun, ...] = ()
    notes: tuple[str, ...] = ()
    workers: tuple[WorkerSpeed, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The order in which everything on the page is counted.

    Attributes:
        checkpoints: Rows of the leaderboard.
        prompts: Of the prompt set; where it is not at hand, their ids stand for their texts.
        seeds: The k's.
        note: What is left out; empty if nothing is.
    """

    checkpoints: tuple[Checkpoint, ...]
    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    note: str = ""


MOST_SCORES: Final = 3_000_000
"""Numbers of single images and prompts in a page, some twenty megabytes; the first k's of a larger one."""


def plan_of(source: PageSource, most: int = MOST_SCORES) -> Plan:
    """The checkpoints, prompts and k's of a page.

    Args:
        source: What to show.
        most: Numbers of single images and prompts; at least one k is shown.
    """
    rows = source.table.rows
    checkpoints = tuple(row.checkpoint for row in source.leaderboard.rows)
    seeds = {int(seed) for seed in rows["seed"].dropna().unique()}
    known: dict[str, Prompt] = {}
    for images in source.image_sets:
        known |= {prompt.id: prompt for prompt in images.prompt_set if prompt.id not in known}
        seeds |= set(images.seeds)
    named = sorted(str(name) for name in rows["prompt_id"].dropna().unique())
    known |= {
        name: Prompt(name, name, source.table.tags.get(name, ()))
        for name in named
        if name not in known and not name.startswith(LEAVE_OUT)
    }
    ks = sorted(seeds)
    of_images = sum(column.unit == "image" for column in source.table.columns)
    room = max(1, most // max(1, len(checkpoints) * len(known) * of_images))
    note = (
        f"To stay small, this page holds single images of the first {room} of {len(ks)} k's; the leaderboard "
        "is of all of them, and scores.parquet has them."
        if room < len(ks)
        else ""
    )
    return Plan(checkpoints, tuple(known.values()), tuple(ks[:room]), note)


def content_of(source: PageSource, plan: Plan) -> dict[str, Any]:
    """Everything but the pictures.

    Args:
        source: What to show.
        plan: Its checkpoints, prompts and k's.

    Returns:
        Plain values; numbers are rounded to what a reader can use.
    """
    board = source.leaderboard
    places = [decimals(row.cells[i] for row in board.rows) for i in range(len(board.columns))]
    positions = {checkpoint.id: i for i, checkpoint in enumerate(plan.checkpoints)}
    missing, undefined = missing_rows(source.table, plan.checkpoints, plan.prompts)
    names = display_names(plan.checkpoints)
    methods = method_order(plan.checkpoints, board.reference)
    numbers = numbers_of(methods)
    by_tag = tags_of(board.columns, _by_tag(source, plan), places, positions)
    tags = dict.fromkeys(tag for prompt in plan.prompts for tag in prompt_tags(prompt))
    return {
        "suite": board.suite,
        "finding": finding(board),
        "signature": signature_of(board),
        "reference": board.reference,
        "notes": [*board.notes, *remarks(board, names)],
        "pageNotes": [*([plan.note] if plan.note else []), *source.notes],
        "scorers": [_scorer(c, p, plan.checkpoints) for c, p in zip(board.columns, places, strict=True)],
        "methods": [[method, numbers[method]] for method in methods],
        "checkpoints": _checkpoints(board, names, numbers),
        "planes": planes_of(board, positions, methods),
        "gaps": gaps_of(board, positions),
        "byTag": by_tag,
        "tagMeanings": {tag: tag_meaning(tag) for tag in (*tags, *by_tag["tags"]) if tag_meaning(tag)},
        "training": training_of(source.training, numbers),
        "csvHeader": csv_text(replace(board, rows=())),
        "prompts": [{"id": p.id, "text": p.text, "tags": list(prompt_tags(p))} for p in plan.prompts],
        "seeds": list(plan.seeds),
        "scores": score_arrays(
            source.table, board.columns, places, plan.checkpoints, plan.prompts, plan.seeds
        ),
        "missing": missing,
        "undefined": undefined,
        "manifests": [_manifest(manifest) for manifest in source.manifests],
        "workers": [_worker(worker) for worker in source.workers],
    }


def _worker(worker: WorkerSpeed) -> dict[str, Any]:
    """A worker with its speeds, None for what it did nothing of."""
    made, scored = worker.image_seconds, worker.score_seconds
    return {
        "name": worker.name,
        "node": worker.node,
        "units": worker.units,
        "images": worker.images,
        "imagesPerSecond": round(worker.images / made, 3) if made else None,
        "scored": worker.scored,
        "scoredPerSecond": round(worker.scored / scored, 3) if scored else None,
        "restarts": worker.restarts,
    }


def _by_tag(source: PageSource, plan: Plan) -> tuple[TagCell, ...]:
    """The breakdown that the leaderboard has, or the one of the prompts' tags."""
    if source.leaderboard.by_tag:
        return source.leaderboard.by_tag
    tags = {prompt.id: prompt_tags(prompt) for prompt in plan.prompts}
    return tag_cells(source.table, tags, source.leaderboard.reference)


def _scorer(column: ScorerColumn, places: int, checkpoints: Sequence[Checkpoint]) -> dict[str, Any]:
    known = set(column.in_domain)
    return {
        "name": column.name,
        "title": column_title(column),
        "about": _about(column.name),
        "version": column.version,
        "axis": column.axis,
        "unit": column.unit,
        "higher": column.higher_is_better,
        "scale": column.scale,
        "primary": column.primary,
        "places": places,
        "inDomain": [i for i, checkpoint in enumerate(checkpoints) if checkpoint.id in known],
    }


def _about(name: str) -> str:
    """A scorer's own line; empty for one of another package, which is not imported only to be described."""
    return next((e.describe() for e in scorers if e.name == name and not e.lazy), "")


def _checkpoints(
    board: Leaderboard, names: Mapping[str, str], numbers: Mapping[str, int]
) -> list[dict[str, Any]]:
    header = csv_text(replace(board, rows=()))
    groups = {
        id_: group.name for group in seed_groups([r.checkpoint for r in board.rows]) for id_ in group.ids
    }
    higher = [column.higher_is_better for column in board.columns]
    found = []
    for row in board.rows:
        checkpoint = row.checkpoint
        cells = [_cell(cell, up) for cell, up in zip(row.cells, higher, strict=True)]
        found.append(
            {
                "id": checkpoint.id,
                "name": names[checkpoint.id],
                "group": groups[checkpoint.id],
                "look": None if checkpoint.id == board.reference else numbers[method_name(checkpoint)],
                "base": checkpoint.base_model,
                "objective": checkpoint.objective,
                "divergence": checkpoint.divergence,
                "beta": checkpoint.hyperparameters.get("beta"),
                "step": checkpoint.step,
                "ranked": row.ranked,
                "note": row.note,
                "prompts": row.n_prompts,
                "images": row.n_images,
                "missing": row.n_missing,
                "cost": _cost(row.cost),
                "cells": cells,
                "csv": csv_text(replace(board, rows=(row,))).removeprefix(header),
            }
        )
    return found


def _cost(cost: Cost) -> dict[str, float | None]:
    known = {
        "training": cost.train_seconds,
        "evaluation": cost.eval_seconds,
        "memory": cost.memory_gb,
    }
    return {name: None if value is None else round(value, 2) for name, value in known.items()}


def _cell(cell: LeaderboardCell, higher: bool) -> dict[str, Any]:
    return {
        "mean": cell.mean,
        "lo": cell.lo,
        "hi": cell.hi,
        "diff": cell.difference,
        "diffLo": cell.difference_lo,
        "diffHi": cell.difference_hi,
        "p": cell.p_value,
        "win": cell.winrate,
        "group": cell.group,
        "n": cell.n_prompts,
        "diffN": cell.difference_n_prompts,
        "missing": cell.n_missing,
        "note": cell.note,
        "verdict": better_or_worse(cell, higher_is_better=higher),
    }


def _manifest(manifest: Manifest) -> Mapping[str, Any]:
    plain = manifest.model_dump()
    if not manifest.ended_at:
        # The page is one of the run's own files, so its last word on the run is not yet spoken.
        plain["status"] = "not ended when this page was written"
    return plain
