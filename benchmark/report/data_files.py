"""Leaderboards and verdicts for programs: CSV whose columns scripts depend on, and JSON with everything."""

import csv
import io
import json
import math
from dataclasses import fields
from typing import Any

from benchmark.core.hashing import plain
from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell, LeaderboardRow, TagCell
from benchmark.gate import GateReport

Value = str | int | float | None

LEADERBOARD_SCHEMA = 1
VERDICT_SCHEMA = 1
"""Of the JSON; raised when a key changes its meaning or goes."""


def csv_text(leaderboard: Leaderboard) -> str:
    """The leaderboard as CSV, UTF-8, comma, one header line; an unknown number is an empty field.

    The last column repeats the signature, so that a row that is copied elsewhere keeps it.

    Args:
        leaderboard: What to write.

    Returns:
        The text of ``leaderboard.csv``.
    """
    rows = [flat_row(leaderboard, row) for row in leaderboard.rows]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_header(leaderboard))
    writer.writerows([_text(value) for value in row.values()] for row in rows)
    return out.getvalue()


def flat_row(leaderboard: Leaderboard, row: LeaderboardRow) -> dict[str, Value]:
    """One checkpoint as names and plain values, in the order of the columns.

    Args:
        leaderboard: Where the row stands.
        row: Which row.

    Returns:
        The value of every column.
    """
    checkpoint = row.checkpoint
    settings = checkpoint.hyperparameters
    flat: dict[str, Value] = {
        "checkpoint": checkpoint.id,
        "base_model": checkpoint.base_model,
        "objective": checkpoint.objective,
        "divergence": checkpoint.divergence,
        "beta": settings.get("beta"),
        "log_ratio_scale": settings.get("log_ratio_scale"),
        "steps": checkpoint.step,
        "n_prompts": row.n_prompts,
        "n_images": row.n_images,
        "n_missing": row.n_missing,
    }
    for column, cell in zip(leaderboard.columns, row.cells, strict=True):
        flat |= _cell(column.label, cell)
    return flat | _beside(leaderboard, row) | {"signature": leaderboard.signature}


def _cell(name: str, cell: LeaderboardCell) -> dict[str, Value]:
    return {
        name: cell.mean,
        f"{name}_lo": cell.lo,
        f"{name}_hi": cell.hi,
        f"{name}_winrate": cell.winrate,
        f"{name}_group": cell.group,
        f"{name}_diff": cell.difference,
        f"{name}_diff_lo": cell.difference_lo,
        f"{name}_diff_hi": cell.difference_hi,
        f"{name}_p": cell.p_value,
        f"{name}_note": cell.note,
        f"{name}_n": cell.n_prompts,
        f"{name}_diff_n": cell.difference_n_prompts,
    }


def _beside(leaderboard: Leaderboard, row: LeaderboardRow) -> dict[str, Value]:
    """Cost, then gaps, then fronts, named after their scorers."""
    flat: dict[str, Value] = dict(vars(row.cost))
    for gap in leaderboard.gaps:
        name = "_".join([*gap.kind.split(), *([gap.gained] if gap.kind == "hacking" else [])])
        own = gap.checkpoint == row.checkpoint.id
        # Every checkpoint has the column, whether or not it has the gap.
        values = {name: gap.value, f"{name}_lo": gap.lo, f"{name}_hi": gap.hi, f"{name}_n": gap.n_prompts}
        flat |= values if own else {key: flat.get(key) for key in values}
    for plane in leaderboard.planes:
        point = next((p for p in plane.points if p.checkpoint == row.checkpoint.id), None)
        of = f"{plane.across}_{plane.upward}"
        flat[f"front_{of}"] = None if point is None else int(point.may_be_on_front)
        flat[f"support_{of}"] = None if point is None else point.support
    return flat


def tags_csv_text(leaderboard: Leaderboard) -> str:
    """The numbers by tag as CSV, a row for each tag, scorer and checkpoint.

    Args:
        leaderboard: One that was built with tags.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [f.name for f in fields(TagCell)]
    labels = {column.name: column.label for column in leaderboard.columns}
    writer.writerow([*names, "signature"])
    for cell in leaderboard.by_tag:
        values = vars(cell) | {"scorer": labels.get(cell.scorer, cell.scorer)}
        writer.writerow([*(_text(values[name]) for name in names), leaderboard.signature])
    return out.getvalue()


def _header(leaderboard: Leaderboard) -> list[str]:
    """The names of the columns; they exist without a row too."""
    cells = tuple(LeaderboardCell(column.name) for column in leaderboard.columns)
    return list(flat_row(leaderboard, LeaderboardRow(Checkpoint("none", "none"), 0, 0, 0, cells)))


def _text(value: Value) -> str:
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def json_text(leaderboard: Leaderboard) -> str:
    """Every field of every record; where the weights lie on this machine is left out.

    Args:
        leaderboard: What to write.

    Returns:
        The text of ``leaderboard.json``: ``schema_version``, then the fields of a Leaderboard.
    """
    everything = plain(leaderboard)
    for row in everything["rows"]:
        del row["checkpoint"]["path"]
    record = {"schema_version": LEADERBOARD_SCHEMA, **everything}
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def verdict_record(report: GateReport) -> dict[str, Any]:
    """The report as plain values, for JSON; a number that is not known is None.

    Returns:
        `schema_version` and `outcome`, then the fields of a :class:`benchmark.gate.GateReport`.
    """
    record: dict[str, Any] = _known(plain(report))
    return {"schema_version": VERDICT_SCHEMA, "outcome": report.verdict.outcome, **record}


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
