"""The rows of a score table as arrays: checkpoints x prompts x images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.core.records import UNDEFINED
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.arrays import BoolArray, FloatArray
from benchmark.stats.jackknife import LEAVE_OUT


@dataclass(frozen=True, eq=False)
class SetValues:
    """The values of a scorer of unit set.

    Attributes:
        value: On all prompts, shape (checkpoints,); ``NaN`` where missing.
        leave_out: Without one group of prompts, shape (groups, checkpoints).
    """

    value: FloatArray
    leave_out: FloatArray


def cells_of(rows: pd.DataFrame, checkpoints: Sequence[str]) -> FloatArray:
    """The cells of one scorer of unit image or prompt.

    A cell that some checkpoint has and another lacks altogether is as missing as one with a status.

    Args:
        rows: Rows of this scorer.
        checkpoints: Ids, in the order of the first axis.

    Returns:
        Shape (checkpoints, prompts, images), prompts and images sorted, ``NaN`` where missing.
    """
    prompt, prompts = pd.factorize(rows["prompt_id"], sort=True)
    seed, seeds = pd.factorize(rows["seed"].fillna(-1).to_numpy(np.int64), sort=True)
    cells = np.full((len(checkpoints), len(prompts), len(seeds)), np.nan)
    cells[_positions(rows, checkpoints), prompt, seed] = _values(rows)
    return cells


def failed_of(rows: pd.DataFrame, checkpoints: Sequence[str]) -> BoolArray:
    """Which cells of :func:`cells_of` a failed image or scorer left without a number.

    A cell without a row counts as failed where another checkpoint has one; where none has, fewer images were
    asked for. One whose note says ``undefined`` has no number to be had.
    """
    undefined = rows[rows["value"].isna() & rows["note"].str.startswith(UNDEFINED)]
    cells = cells_of(rows, checkpoints)
    marked = rows.assign(value=rows["value"].where(~rows.index.isin(undefined.index), 0.0))
    designed = ~np.isnan(cells_of(rows.assign(value=0.0), checkpoints)).all(axis=0)
    failed: BoolArray = np.isnan(cells) & np.isnan(cells_of(marked, checkpoints)) & designed
    return failed


def set_values_of(rows: pd.DataFrame, checkpoints: Sequence[str]) -> SetValues:
    """The values of one scorer of unit set.

    Args:
        rows: Rows of this scorer: one without a prompt for each checkpoint, and one for each group
            that was left out, named by :func:`benchmark.stats.jackknife.leave_out_id`.
        checkpoints: Ids, in the order of the result.

    Returns:
        Whole-set and leave-one-group-out values; without the latter, zero groups.
    """
    whole = rows[rows["prompt_id"].isna()]
    value = np.full(len(checkpoints), np.nan)
    value[_positions(whole, checkpoints)] = _values(whole)
    without = rows[rows["prompt_id"].str.startswith(LEAVE_OUT, na=False)]
    group, groups = pd.factorize(without["prompt_id"], sort=True)
    leave_out = np.full((len(groups), len(checkpoints)), np.nan)
    leave_out[group, _positions(without, checkpoints)] = _values(without)
    return SetValues(value, leave_out)


def sizes_of(table: ScoreTable) -> tuple[dict[str, int], dict[str, int]]:
    """Prompts and images behind each checkpoint: those that some scorer gave a number to.

    Where no scorer works image by image, the design's size is all that is known.
    """
    by_image = table.rows[table.rows["seed"].notna()]
    if by_image.empty:
        ids = [checkpoint.id for checkpoint in table.checkpoints]
        designed = table.n_prompts * table.images_per_prompt
        return dict.fromkeys(ids, table.n_prompts), dict.fromkeys(ids, designed)
    scored = by_image[by_image["status"] == "ok"]
    images = Counter(scored.drop_duplicates(["checkpoint", "prompt_id", "seed"])["checkpoint"])
    prompts = Counter(scored.drop_duplicates(["checkpoint", "prompt_id"])["checkpoint"])
    return prompts, images


def or_none(value: float) -> float | None:
    """A number as records hold it: None where there is none."""
    return None if np.isnan(value) else float(value)


def _positions(rows: pd.DataFrame, checkpoints: Sequence[str]) -> np.ndarray:
    position = {name: i for i, name in enumerate(checkpoints)}
    return rows["checkpoint"].map(position).to_numpy(np.int64)


def _values(rows: pd.DataFrame) -> FloatArray:
    return rows["value"].to_numpy(np.float64)
