"""The optimum of a reward under each divergence, as weights on a pool of the base's images.

The mathematics is :mod:`trainers.divergences.optimum`, why the pool is cut into halves
:mod:`benchmark.workflows.frontier.halves`, the means are :mod:`benchmark.stats.weighted`, and what is done
with the table :mod:`benchmark.leaderboard.optimum_lines`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from benchmark.core.errors import FbenchError, UserError
from benchmark.core.records import UNDEFINED, Checkpoint, ScorerColumn
from benchmark.evaluate.results import score_table
from benchmark.leaderboard import ScoreTable, rows_to_frame
from benchmark.leaderboard.names import without_knee
from benchmark.leaderboard.optimum_lines import (
    EFFECTIVE_SHARE,
    EFFECTIVE_SIZE,
    KL,
    OPTIMUM_COLUMNS,
    VALUE,
    optimum_column,
    optimum_point,
)
from benchmark.scorers import Scorer
from benchmark.stats.arrays import BoolArray, FloatArray
from benchmark.stats.cells import within_prompt_sd
from benchmark.stats.weighted import effective_shares, mean_of_known, weighted_means, weighted_pair_means
from benchmark.workflows.frontier.halves import across, first_halves, weights_of_halves
from benchmark.workflows.frontier.pool import Pool

if TYPE_CHECKING:
    from trainers.divergences import Divergence

BETAS: Final = 40
FROM_TO: Final = (30.0, 0.03)
"""The default betas, in standard deviations of the reward within a prompt: base to best image."""

NO_REWARD: Final = "have no reward and are not in the pool"


@dataclass(frozen=True)
class Optimum:
    """A divergence whose optimum is asked for.

    Attributes:
        divergence: Itself.
        name: As one would type it, without the knee.
        line: Name of the first of the divergences asked for with the same line, often its own: a multiple of
            a divergence has the same optima at other betas.
    """

    divergence: "Divergence"
    name: str
    line: str


def optima_of(asked: Sequence[str], checkpoints: Sequence[Checkpoint]) -> tuple[Optimum, ...]:
    """The divergences of a plan.

    Args:
        asked: As ``--divergence`` takes them; empty: every registered one that needs no arguments, and those
            that the checkpoints were trained under, as far as they can be made here.
        checkpoints: Of the evaluation.

    Raises:
        UserError: for one that is unknown, cannot be made or breaks a law.
    """
    from trainers.divergences import divergences
    from trainers.divergences.optimum import coincides

    made = [divergences.create(text) for text in asked]
    if not asked:
        # A file that something was trained under may be gone.
        for text in dict.fromkeys(
            [*divergences.names(), *(c.divergence for c in checkpoints if c.divergence)]
        ):
            with suppress(FbenchError):
                made.append(divergences.create(text))
    found: dict[str, Optimum] = {}
    for divergence in made:
        name = without_knee(repr(divergence))
        if name not in found:
            same = (one.name for one in found.values() if coincides(one.divergence, divergence))
            found[name] = Optimum(divergence, name, next(same, name))
    return tuple(found.values())


def default_betas(rewards: FloatArray) -> tuple[float, ...]:
    """40 betas, evenly on a logarithmic scale, from 30 to 0.03 standard deviations within a prompt.

    So the weights do not depend on the reward's unit. A reward that is the same for all images of each
    prompt has no unit; then the standard deviation is taken as 1, and every beta gives the base.

    Args:
        rewards: Shape (prompts, images), ``NaN`` where there is none.

    Example:
        >>> found = default_betas(np.array([[0.0, 2.0], [1.0, 3.0]]))
        >>> len(found), [round(beta / 2**0.5, 3) for beta in (found[0], found[-1])]
        (40, [30.0, 0.03])
    """
    sd = within_prompt_sd(rewards)
    unit = sd if np.isfinite(sd) and sd > 0 else 1.0
    return tuple((unit * np.geomspace(*FROM_TO, BETAS)).tolist())


def optimum_table(
    pool: Pool,
    base: Checkpoint,
    optima: Sequence[Optimum],
    reward: Scorer,
    columns: Sequence[ScorerColumn],
    betas: Sequence[float],
) -> ScoreTable:
    """The means of every scorer under every optimum, a row a prompt; the first checkpoint is the plain pool.

    Args:
        pool: Images of the base with their scores.
        base: The base model.
        optima: Under which divergences.
        reward: The scorer whose mean is maximised; a lower one if that is better.
        columns: Of the scorers whose means are asked for.
        betas: From weak to strong.

    Raises:
        UserError: if no image has a reward.
    """
    rewards = pool.values(reward.name)
    there = ~np.isnan(rewards)
    if not there.any():
        raise UserError(
            f"no image of the pool has a {reward.name}",
            do="name another reward with --by, or a larger --pool",
        )
    signed = rewards if reward.higher_is_better else -rewards
    values = {c.name: pool.values(c.name) for c in columns if c.name not in pool.pairs}
    cuts = [(first, _of_pairs(pool.pairs, across(first, there))) for first in first_halves(there)]
    plain = there.astype(np.float64)[None]
    points, found_at = [base], [_mean_over([_means(plain, there, values, pairs) for _, pairs in cuts])]
    found_at[0] |= {VALUE: np.where(there.any(1), 0.0, np.nan)[None]}
    for one in optima:
        of_cuts = []
        for first, pairs in cuts:
            u = weights_of_halves(signed, betas, one.divergence, first)
            of_cuts.append(_means(u, there, values, pairs))
            of_cuts[-1][VALUE] = _penalty(u, there, one.divergence)
        found_at.append(_mean_over(of_cuts))
        size = len(pool.images.seeds)
        points += [optimum_point(base, one.name, one.line, beta, reward.name, size) for beta in betas]
    names = [*(c.name for c in columns), *OPTIMUM_COLUMNS]
    known = {name: np.concatenate([part[name] for part in found_at]) for name in names}
    of_prompts = tuple(replace(column, unit="prompt") for column in columns)
    more = tuple(optimum_column(name) for name in OPTIMUM_COLUMNS)
    table = score_table(rows_to_frame([]), [pool.images], (*of_prompts, *more))
    frames = list(_frames(pool, points, table.columns, known, there, reward.name))
    return replace(
        table,
        rows=pd.concat(frames, ignore_index=True),
        checkpoints=tuple(points),
    )


def _of_pairs(pairs: Mapping[str, FloatArray], counted: BoolArray) -> dict[str, FloatArray]:
    return {name: np.where(counted, of, np.nan) for name, of in pairs.items()}


def _mean_over(cuts: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    return {name: mean_of_known(np.stack([cut[name] for cut in cuts])) for name in cuts[0]}


def _penalty(weights: FloatArray, there: BoolArray, divergence: "Divergence") -> FloatArray:
    import torch

    from trainers.divergences.optimum import divergence_value

    u = torch.from_numpy(weights)
    value: FloatArray = divergence_value(u, torch.from_numpy(there).expand_as(u), divergence).numpy()
    return value


def _means(
    weights: FloatArray, there: BoolArray, values: Mapping[str, FloatArray], pairs: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Of every scorer, and what the weights themselves are like: (points, prompts) each."""
    n = there.sum(axis=1)
    found = {name: weighted_means(weights, of) for name, of in values.items()}
    found |= {name: weighted_pair_means(weights, of) for name, of in pairs.items()}
    logs = np.log(np.where(weights > 0, weights, 1.0))
    found[KL] = np.divide(
        (weights * logs).sum(axis=-1), n, out=np.full(weights.shape[:-1], np.nan), where=n > 0
    )
    found[EFFECTIVE_SHARE] = effective_shares(weights, n.astype(np.float64))
    found[EFFECTIVE_SIZE] = found[EFFECTIVE_SHARE] * n
    return found


def _frames(
    pool: Pool,
    points: Sequence[Checkpoint],
    columns: Sequence[ScorerColumn],
    known: Mapping[str, FloatArray],
    there: BoolArray,
    reward: str,
) -> Iterator[pd.DataFrame]:
    """The rows of each scorer, as of :class:`ScoreRow`."""
    ids, prompts = [p.id for p in points], [prompt.id for prompt in pool.images.prompt_set]
    dropped = (~there).sum(axis=1)
    for column in columns:
        value = known[column.name]
        failed = np.array([(column.name, id_) in pool.errors for id_ in prompts])
        gone = np.isnan(value)
        note = np.where(gone, f"{UNDEFINED}: {_why_none(column.name, pool)}", "").astype(object)
        status = np.where(gone, np.where(failed, "error", "missing"), "ok").astype(object)
        for p in np.flatnonzero(failed):
            note[:, p] = pool.errors[column.name, prompts[p]]
        if column.name == reward:
            for p in np.flatnonzero(dropped):
                own = f"; {note[0, p]}" if note[0, p] else ""
                note[0, p] = f"{dropped[p]} of {there.shape[1]} images {NO_REWARD}{own}"
                if gone[0, p]:
                    note[0, p] = f"{UNDEFINED}: {note[0, p]}"
        yield pd.DataFrame({
            "checkpoint": np.repeat(np.array(ids, dtype=object), len(prompts)),
            "scorer": column.name,
            "scorer_version": column.version,
            "prompt_id": np.tile(np.array(prompts, dtype=object), len(ids)),
            "seed": pd.array([pd.NA] * value.size, dtype="Int64"),
            "value": value.ravel(),
            "status": status.ravel(),
            "note": note.ravel(),
        })  # fmt: skip


def _why_none(scorer: str, pool: Pool) -> str:
    if scorer in pool.pairs:
        return "no pair of images with weight has a distance"
    return "no image with weight has a number"
