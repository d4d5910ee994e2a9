"""Intervals of means: over prompts, and what they would be over images."""

from collections.abc import Iterator
from typing import Final

from benchmark.stats.arrays import FloatArray
from benchmark.stats.intervals import mean_intervals
from tools.simulations.cases import Case, Draw, Outcome, Shape, clustered, outcome

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
    "95 % intervals of a mean. `correlation` is that of two images of one prompt (seen: 0.2 for "
    "`true_reward`, 0.5 `clip`, 0.9 `pickscore`); gamma has skewness 1, log-normal 6.2. `by image` takes "
    "images as independent: it is what not to do, and is asked to fail.",
    _run,
)
