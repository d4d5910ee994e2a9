"""Intervals of means: over prompts, and what they would be over images."""

from collections.abc import Iterator
from typing import Final

from benchmark.stats.intervals import mean_intervals
from benchmark.studies.simulations.cases import Case, Draw, Outcome, Shape, clustered, outcome

_SIZES: Final = ((50, 4), (50, 8), (200, 4), (200, 8), (500, 4), (500, 8))
_ASKED: Final[dict[Shape, tuple[float, float]]] = {
    "normal": (0.93, 0.97),
    "gamma": (0.93, 0.97),
    "log-normal": (0.91, 0.98),
}
_IMAGES_RESAMPLES: Final = 500


def _run(draw: Draw) -> Iterator[Outcome]:
    for shape, (least, most) in _ASKED.items():
        for prompts, images in _SIZES:
            cells = clustered(draw.generator, shape, (draw.tables, prompts, images))
            name = f"{shape}, {prompts} x {images}"
            found = mean_intervals(cells.mean(axis=2).T, resamples=draw.resamples, seed=draw.seed)
            yield outcome(name, [i.lo <= 0 <= i.hi for i in found], least, most)
            by_image = cells.reshape(draw.tables, -1).T
            # Many images need few resamples: nothing is asked of these intervals.
            found = mean_intervals(by_image, resamples=_IMAGES_RESAMPLES, seed=draw.seed)
            yield outcome(f"{name}, by image", [i.lo <= 0 <= i.hi for i in found])


MEANS: Final = Case(
    "means",
    "95 % intervals of a mean; half of the variance between prompts, half between the images of a prompt; "
    "gamma has skewness 1, log-normal 6.2. `by image` takes images as independent and is what not to do.",
    _run,
)
