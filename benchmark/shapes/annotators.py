"""Two populations of annotators, whose reward is known:  r = c A (2 + q).

A is the share of the prompt's facts that the image shows, 0 if it is no scene. q in [0, 1] is the
population's taste, a weighted mean of four inverted U's over what can be measured of a picture: contrast,
colour, edges, composition. Each U has its top inside the range of clean renders and falls to 0 at their 1st
and 99th percentiles. So beauty multiplies content and can never pay for its loss, and every measure has a too
much. Labels follow Bradley and Terry: P(a is preferred to b) = sigma(r_a - r_b).
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.shapes.readings import Readings
from benchmark.shapes.scenes import SIDE

C: Final = 3.5
"""Sharpness of the annotators: set so that two of one population agree on 75 to 80 % of pairs."""

MEASURES: Final = ("contrast", "colour", "edges", "composition")


@dataclass(frozen=True)
class Population:
    """A taste: for each measure, the quantile of clean renders it likes best, and how much it counts."""

    optimum: tuple[float, float, float, float]
    weight: tuple[float, float, float, float]


POPULATIONS: Final[dict[str, Population]] = {
    "population_1": Population(optimum=(0.70, 0.65, 0.40, 0.30), weight=(0.3, 0.3, 0.2, 0.2)),
    "population_2": Population(optimum=(0.40, 0.75, 0.60, 0.65), weight=(0.2, 0.3, 0.2, 0.3)),
}
"""The first labels training pairs; the second is held out."""


def measures(images: Float[Tensor, "n 3 64 64"], readings: Readings) -> Float[Tensor, "n 4"]:
    """What taste looks at, for images in [0, 1]; columns as in `MEASURES`.

    Contrast is the standard deviation of the grey levels, colour the mean of max minus min over channels,
    edges the mean absolute difference of neighbouring pixels, composition the distance in pixels of the
    objects' centre of mass from the picture's centre.
    """
    grey = images.mean(1)
    colour = (images.amax(1) - images.amin(1)).mean((1, 2))
    edges = (grey.diff(dim=1).abs().mean((1, 2)) + grey.diff(dim=2).abs().mean((1, 2))) / 2
    there = (torch.arange(2) < readings.count[:, None]).float()
    mass = there * readings.radius.square()
    centre = (readings.centre * mass[..., None]).sum(1) / mass.sum(1, keepdim=True).clamp(min=1e-6)
    off = (centre - SIDE / 2).norm(dim=1)
    return torch.stack([grey.std((1, 2)), colour, edges, off], 1)


@cache
def quantiles(path: Path) -> Float[Tensor, "101 4"]:
    """The percentiles of every measure over clean renders, as the builder wrote them."""
    table = json.loads(path.read_text())["percentiles"]
    return torch.tensor([table[name] for name in MEASURES]).T


def taste(
    values: Float[Tensor, "n 4"], percentiles: Float[Tensor, "101 4"], population: Population
) -> Float[Tensor, " n"]:
    """q: the weighted mean of max(0, 1 - ((x - top) / (end - top))^2), the end on the side where x lies."""
    top = torch.stack([percentiles[round(100 * o), i] for i, o in enumerate(population.optimum)])
    low, high = percentiles[1], percentiles[99]
    end = torch.where(values < top, low, high)
    u = (1 - ((values - top) / (end - top)).square()).clamp(min=0)
    return u @ torch.tensor(population.weight)


def reward(alignment: Float[Tensor, " n"], scene: Tensor, q: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """R = c A (2 + q), and 0 where there is no scene."""
    return C * alignment * scene * (2 + q)
