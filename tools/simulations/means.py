"""Intervals of means: over prompts, over images, and with ten times as many resamples."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import RESAMPLES as IN_USE
from benchmark.stats.arrays import FloatArray
from benchmark.stats.best import not_worse_than_best
from benchmark.stats.intervals import mean_intervals
from benchmark.stats.one_sided import prompt_bounds
from tools.simulations.cases import Case, Draw, Outcome, Shape, clustered, noise, outcome
from tools.simulations.spreads import CORRELATIONS_SEEN

_SIZES: Final = ((50, 4), (50, 8), (200, 4), (500, 4), (500, 8))
_CORRELATIONS: Final = (0.2, 0.5, 0.9)
_ASKED: Final[dict[Shape, tuple[float, float]]] = {
    "normal": (0.93, 0.97),
    "gamma": (0.93, 0.97),
    "log-normal": (0.91, 0.98),
}
_IMAGES_RESAMPLES: Final = 99


def _run(draw: Draw) -> Iterator[Outcome]:
    for shape, (least, most) in _ASKED.items():
        for prompts, images in _SIZES:
            row = f"{shape}, {prompts} x {images}"
            for correlation in _CORRELATIONS:
                size = (draw.tables, prompts, images)
                cells = clustered(draw.generator, shape, size, correlation)
                held = _held(cells.mean(axis=2), draw.resamples, draw.seed)
                yield outcome(row, f"correlation {correlation:g}", held, least, most)
                # Many images need few resamples, and these intervals are meant to fail.
                held = _held(cells.reshape(draw.tables, -1), _IMAGES_RESAMPLES, draw.seed)
                yield outcome(row, f"{correlation:g}, by image", held, 0.0, least)


def _held(tables: FloatArray, resamples: int, seed: int) -> list[bool]:
    return [i.lo <= 0 <= i.hi for i in mean_intervals(tables.T, resamples=resamples, seed=seed)]


MEANS: Final = Case(
    "means",
    "95 % intervals of a mean. `correlation` is that of two images of one prompt "
    f"(seen: {CORRELATIONS_SEEN}); "
    "gamma has skewness 1, log-normal 6.2. `by image` takes images as independent: it is what not to do, and "
    "is asked to fail.",
    _run,
)


def _run_resamples(draw: Draw) -> Iterator[Outcome]:
    cells = clustered(draw.generator, "gamma", (draw.tables, 50, 4))
    means = cells.mean(axis=2)
    three = noise(draw.generator, "gamma", (draw.tables, 50, 1)) + noise(
        draw.generator, "gamma", (draw.tables, 50, 3)
    )
    for resamples in (draw.resamples, IN_USE):
        column = f"{resamples:,} resamples"
        held = [i.lo <= 0 <= i.hi for i in mean_intervals(means.T, resamples=resamples, seed=draw.seed)]
        yield outcome("mean, gamma, 50 x 4: covered", column, held)
        stays = [not_worse_than_best(x, resamples=resamples, seed=draw.seed)[0] for x in three]
        yield outcome("3 equal checkpoints, 50 prompts: the first is in", column, np.array(stays))
        lower = [prompt_bounds(d, resamples=resamples, seed=draw.seed).lower for d in means]
        yield outcome("lower bound of the gate, gamma, 50 x 4: held", column, [bound <= 0 for bound in lower])


RESAMPLES: Final = Case(
    "resamples",
    f"The same tables with the {IN_USE:,} resamples that are in use outside of the simulations.",
    _run_resamples,
)
