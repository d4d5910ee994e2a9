"""The group that may be the best."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import BoolArray, FloatArray
from benchmark.stats.best import not_worse_than_best
from tools.simulations.cases import Case, Draw, Outcome, Shape, noise, outcome

_PROMPTS: Final = 100


def _run(draw: Draw) -> Iterator[Outcome]:
    for count in (2, 5, 20):
        for name, means in _settings(count).items():
            stays = [
                not_worse_than_best(
                    _table(draw.generator, name, means), resamples=draw.resamples, seed=draw.seed + table
                )
                for table in range(draw.tables)
            ]
            yield from _outcomes(f"{count} checkpoints, {name}", np.array(stays), means)


def _outcomes(row: str, stays: BoolArray, means: FloatArray) -> Iterator[Outcome]:
    yield outcome(row, "the best is in", stays[:, 0], 0.91 if "log-normal" in row else 0.95)
    worse = means < means[0]
    if worse.any():
        yield outcome(row, "a worse one is out", ~stays[:, worse].ravel())
        yield outcome(row, "the worst is out", ~stays[:, -1])


def _settings(count: int) -> dict[str, FloatArray]:
    """True means, the first the best."""
    ahead = np.concatenate([[0.0], np.full(count - 1, -1.0)])
    return {
        "all equal": np.zeros(count),
        "exact copies": np.zeros(count),
        "equal, the first noisier": np.zeros(count),
        "equal, log-normal": np.zeros(count),
        "0.2 ahead": 0.2 * ahead,
        "0.4 ahead": 0.4 * ahead,
        "a ladder": -0.5 * np.arange(count) / (count - 1),
    }


def _table(generator: np.random.Generator, name: str, means: FloatArray) -> FloatArray:
    """Prompt means: two thirds of the variance is common to all checkpoints."""
    shape: Shape = "log-normal" if "log-normal" in name else "gamma"
    shared = noise(generator, shape, (_PROMPTS, 1))
    own = noise(generator, shape, (_PROMPTS, means.size))
    if name == "exact copies":
        own[:, 1::2] = own[:, [0]]
    if "noisier" in name:
        own[:, 0] *= 3.0
    x: FloatArray = means + np.sqrt(2 / 3) * shared + np.sqrt(1 / 3) * own
    return x


BEST: Final = Case(
    "best",
    f"The tie group of the best over {_PROMPTS} prompts, gamma unless said otherwise, effects in standard "
    "deviations between prompts. Of equal checkpoints the first is watched. `exact copies`: every second one "
    "gives its numbers to the bit; `noisier`: three times the noise of its own; `a ladder`: evenly down to "
    "0.5. Log-normal scores are asked what their means are asked above.",
    _run,
)
