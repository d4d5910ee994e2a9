"""The betas of every divergence, chosen on validation prompts before a test prompt is scored."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from benchmark.core import store
from benchmark.core.errors import MissingFileError
from benchmark.core.hashing import plain
from benchmark.leaderboard import ScoreTable
from benchmark.leaderboard.names import without_knee
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.stats.cells import own_means, prompt_means
from tools.studies.claim.design import DIVERGENCES, VALIDATION, Member, Unit, sweep_units

TRIED: Final = (4.0, 1.0, 0.25, 0.0625)
"""Slope-matched betas that are trained on the way."""
SEED: Final = 100
"""Of these runs; the study has others."""
GAIN: Final = 0.2
"""In `true_taste`, that the strongest beta of each divergence should reach; the others a quarter each."""
LADDER: Final = 1.0
"""Betas are this times a power of two, so that divergences often share one."""
FILE: Final = "grid.json"


@dataclass(frozen=True)
class Tried:
    """A run on validation prompts: differences of its means from the base's.

    Attributes:
        divergence: Under which.
        beta: Slope-matched.
        gains: By scorer.
        diverged: Whether training marked it.
    """

    divergence: str
    beta: float
    gains: Mapping[str, float]
    diverged: bool


@dataclass(frozen=True)
class Grid:
    """The choice, and what it rests on.

    Attributes:
        betas: By divergence, from weak to strong.
        tried: The runs.
        suite: The prompts.
        signature: Of the numbers.
    """

    betas: Mapping[str, tuple[float, ...]]
    tried: tuple[Tried, ...]
    suite: str
    signature: str


def validation_units(divergences: Sequence[str] = DIVERGENCES) -> tuple[Unit, ...]:
    """The base model, and one run for each divergence and beta that is tried."""
    tried = dict.fromkeys(divergences, TRIED)
    return (Unit("base", (Member(),)), *sweep_units(tried, (SEED,), halfway=False))


def choose(table: ScoreTable) -> Grid:
    """Reads the grid off the validation runs, by the rule of the protocol.

    Args:
        table: Of the base and all runs that were tried.
    """
    tried = tuple(_tried(table))
    by_divergence: dict[str, list[Tried]] = {}
    for one in tried:
        by_divergence.setdefault(one.divergence, []).append(one)
    betas = {
        name: betas_for([one.beta for one in own], [one.gains["true_taste"] for one in own])
        for name, own in by_divergence.items()
    }
    return Grid(betas, tried, table.suite, table.signature)


def betas_for(betas: Sequence[float], gains: Sequence[float], goal: float = GAIN) -> tuple[float, ...]:
    """Four betas at which a quarter, a half, three quarters and all of the goal are reached.

    The gains are made monotone in beta by least squares and read between the betas that were tried on a
    logarithmic scale, each answer then moved to the nearest rung of the ladder. Where a gain is not reached,
    or a rung is taken already, half the beta before is the next one.

    Args:
        betas: That were tried.
        gains: Of each.
        goal: Gain of the strongest.

    Example:
        >>> betas_for((4, 1, 0.25, 0.0625), (0.05, 0.15, 0.25, 0.35))
        (4.0, 2.0, 1.0, 0.5)
        >>> betas_for((4, 1, 0.25, 0.0625), (0.0, 0.05, 0.1, 0.1))
        (1.0, 0.25, 0.125, 0.0625)
    """
    order = np.argsort(betas)[::-1]
    x = np.log(np.asarray(betas)[order])
    y = isotonic_regression(np.asarray(gains)[order]).x
    found: list[float] = []
    for share in (0.25, 0.5, 0.75, 1.0):
        wanted = share * goal
        at = int((y < wanted).sum())
        if at == y.size:
            rung = found[-1] / 2 if found else _rung(math.exp(x[-1]))
        elif at == 0:
            rung = _rung(math.exp(x[0]))
        else:
            part = (wanted - y[at - 1]) / (y[at] - y[at - 1])
            rung = _rung(math.exp(x[at - 1] + part * (x[at] - x[at - 1])))
        found.append(min(rung, found[-1] / 2) if found else rung)
    return tuple(found)


def _rung(beta: float) -> float:
    return float(LADDER * 2.0 ** round(math.log2(beta / LADDER)))


def _tried(table: ScoreTable) -> Iterator[Tried]:
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    means = {
        name: own_means(prompt_means(cells_of(table.rows[table.rows["scorer"] == name], ids)).T)
        for name in VALIDATION.scorers
    }
    base = ids.index(table.base() or "")
    for i, checkpoint in enumerate(table.checkpoints):
        if not checkpoint.is_base:
            numbers = checkpoint.hyperparameters
            yield Tried(
                without_knee(checkpoint.divergence or ""),
                float(numbers["beta"] or 0),
                {name: round(float(of[i] - of[base]), 4) for name, of in means.items()},
                bool(numbers.get("diverged")),
            )


def write_grid(grid: Grid, results: Path) -> Path:
    """Writes the choice to be committed."""
    store.write_json(results / FILE, plain(grid))
    return results / FILE


def read_grid(results: Path) -> Grid:
    """The committed choice.

    Raises:
        MissingFileError: if nothing was chosen yet.
        UnreadableFileError: if it is no grid.
    """
    path = results / FILE
    if not path.is_file():
        raise MissingFileError(path, "grid", do="run `python -m tools.studies.claim choose` and commit it")
    content = store.read_json(path, "the grid of the claim study")
    betas = {name: tuple(own) for name, own in content["betas"].items()}
    tried = tuple(Tried(**one) for one in content["tried"])
    return Grid(betas, tried, content["suite"], content["signature"])
