"""The leaderboard as CSV: one row a checkpoint, the columns that scripts depend on."""

import csv
import io
from dataclasses import fields

from benchmark.core.records import Leaderboard, LeaderboardCell, LeaderboardRow, TagCell

Value = str | int | float | None


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
    for cell in row.cells:
        flat |= _cell(cell)
    return flat | _beside(leaderboard, row) | {"signature": leaderboard.signature}


def _cell(cell: LeaderboardCell) -> dict[str, Value]:
    name = cell.scorer
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
    writer.writerow([*names, "signature"])
    for cell in leaderboard.by_tag:
        writer.writerow([*(_text(getattr(cell, name)) for name in names), leaderboard.signature])
    return out.getvalue()


def _header(leaderboard: Leaderboard) -> list[str]:
    """The names of the columns; they exist without a row too."""
    from benchmark.core.records import Checkpoint

    cells = tuple(LeaderboardCell(column.name) for column in leaderboard.columns)
    return list(flat_row(leaderboard, LeaderboardRow(Checkpoint("none", "none"), 0, 0, 0, cells)))


def _text(value: Value) -> str:
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else str(value)
