"""The group that may be the best."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.best import not_worse_than_best
from benchmark.studies.simulations.cases import Case, Draw, Outcome, noise, outcome

_PROMPTS: Final = 100


def _run(draw: Draw) -> Iterator[Outcome]:
    for count in (2, 5, 20):
        for name, means in _settings(count).items():
            kept, clear = [], []
            for table in range(draw.tables):
                x = _table(draw.generator, means, copies=name == "exact copies")
                stays = not_worse_than_best(x, resamples=draw.resamples, seed=draw.seed + table)
                kept.append(bool(stays[0]))
                clear.append(not bool(stays[-1]))
            yield outcome(f"{count} checkpoints, {name}: the best is in", kept, 0.95)
            if name == "a ladder":
                yield outcome(f"{count} checkpoints, {name}: the last is out", clear)


def _settings(count: int) -> dict[str, FloatArray]:
    """True means, the first the best."""
    return {
        "all equal": np.zeros(count),
        "exact copies": np.zeros(count),
        "a ladder": -0.5 * np.arange(count) / (count - 1),
        "one ahead": np.concatenate([[0.0], np.full(count - 1, -0.2)]),
    }


def _table(generator: np.random.Generator, means: FloatArray, *, copies: bool) -> FloatArray:
    """Prompt means: two thirds of the variance is common to all checkpoints, the rest skewed."""
    shared = noise(generator, "gamma", (_PROMPTS, 1))
    own = noise(generator, "gamma", (_PROMPTS, means.size))
    if copies:
        own[:, 1::2] = own[:, [0]]
    x: FloatArray = means + np.sqrt(2 / 3) * shared + np.sqrt(1 / 3) * own
    return x


BEST: Final = Case(
    "best",
    f"The tie group of the best over {_PROMPTS} prompts, effects in standard deviations; `exact copies`: "
    "every second checkpoint gives the best one's numbers to the bit.",
    _run,
)
