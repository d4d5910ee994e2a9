"""Joint regions, the front's confidence set, hypervolume differences."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.pareto import front_set, hypervolume, hypervolume_difference, on_front
from benchmark.stats.region import joint_region
from tools.simulations.cases import Case, Draw, Outcome, noise, outcome

_PROMPTS: Final = 100
_FRONT: Final = np.array([[0.0, 1.0], [0.4, 0.9], [0.7, 0.7], [0.9, 0.4], [1.0, 0.0]])
_WORST: Final = np.array([-1.0, -1.0])
_SETTINGS: Final[dict[str, FloatArray]] = {
    "5 on it, 5 behind": np.concatenate([_FRONT, _FRONT - 0.3]),
    "5 on it, 5 further behind": np.concatenate([_FRONT, _FRONT - 0.6]),
    "5 on it, each with its exact copies": np.repeat(_FRONT, 2, axis=0),
    "2 on it": _FRONT[[0, 4]],
    "10 equal": np.zeros((10, 2)),
    "20 on it": np.column_stack(
        [
            np.sin(np.linspace(0, np.pi / 2, 20)),
            np.cos(np.linspace(0, np.pi / 2, 20)),
        ]
    ),
}


def _fronts(draw: Draw) -> Iterator[Outcome]:
    for name, means in _SETTINGS.items():
        front = on_front(means)
        held: list[bool] = []
        dropped: list[bool] = []
        for table in range(draw.tables):
            x = _table(draw.generator, means)
            if "copies" in name:
                x[:, 1::2] = x[:, ::2]
            stays = front_set(x, resamples=draw.resamples, seed=draw.seed + table)
            held.append(bool(stays[front].all()))
            dropped += (~stays[~front]).tolist()
        yield outcome(name, "all of the front is in", held, 0.95)
        if not front.all():
            yield outcome(name, "one behind is out", dropped)


def _planes(draw: Draw) -> Iterator[Outcome]:
    inside = []
    for table in range(draw.tables):
        x = _table(draw.generator, np.zeros((1, 2)))[:, 0]
        region = joint_region(x, resamples=draw.resamples, seed=draw.seed + table)
        inside.append(region is not None and region.contains(np.zeros(2)))
    yield outcome("joint region of two means", "covers", inside, 0.93, 0.97)
    settings = {"equal sets": (_FRONT, _FRONT), "5 points against 2": (_FRONT, _FRONT[[0, 4]])}
    for name, (a, b) in settings.items():
        truth = float(hypervolume(a, _WORST) - hypervolume(b, _WORST))
        held = []
        for _ in range(draw.tables):
            x = _table(draw.generator, np.concatenate([a, b]))
            interval = hypervolume_difference(x[:, : len(a)], x[:, len(a) :], _WORST)
            held.append(interval.lo <= truth <= interval.hi)
        yield outcome(f"hypervolume difference, {name}", "covers", held, 0.93, 0.98)


def _table(generator: np.random.Generator, means: FloatArray) -> FloatArray:
    """Two axes that move against each other within a prompt, two thirds of it common to all checkpoints."""
    shared = noise(generator, "gamma", (_PROMPTS, 1, 2))
    own = noise(generator, "gamma", (_PROMPTS, *means.shape))
    both = np.sqrt(2 / 3) * shared + np.sqrt(1 / 3) * own
    both[..., 1] = 0.8 * both[..., 1] - 0.6 * both[..., 0]
    x: FloatArray = means + both
    return x


FRONTS: Final = Case(
    "fronts",
    f"The confidence set of the Pareto front: two negatively correlated axes over {_PROMPTS} prompts, "
    "effects in standard deviations between prompts.",
    _fronts,
)

PLANES: Final = Case(
    "planes",
    "95 % joint regions of two means, and intervals of differences of hypervolume, on the same axes.",
    _planes,
)
