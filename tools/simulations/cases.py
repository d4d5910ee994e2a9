"""What a simulation is, and the noise that all of them share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.stats.arrays import BoolArray, FloatArray

Shape = Literal["normal", "gamma", "log-normal"]

CORRELATION = 0.5
"""Of two images of one prompt: the share of the variance that lies between prompts, in between what is seen
(`tools.simulations.spreads` measures it for the gated scorers)."""


@dataclass(frozen=True)
class Outcome:
    """How often something happened that should, or should not.

    Attributes:
        row: What was simulated, in words: a row of the case's table.
        column: What happened, in words: a column of it.
        hits: How often.
        n: Of how many.
        least: The share asked for is at least this.
        most: ... and at most this.
        total: Sum of a quantity, where its mean is told and not a share; nothing is asked of it.
    """

    row: str
    column: str
    hits: int
    n: int
    least: float = 0.0
    most: float = 1.0
    total: float | None = None


@dataclass(frozen=True)
class Draw:
    """What one chunk of a simulation is given.

    Attributes:
        generator: Of the data.
        tables: How many to simulate.
        resamples: Of every bootstrap, and flips.
        seed: Of the resamples.
    """

    generator: np.random.Generator
    tables: int
    resamples: int
    seed: int


@dataclass(frozen=True)
class Case:
    """One simulation.

    Attributes:
        name: As in ``--only``.
        setting: What is simulated, in a sentence.
        run: Simulates a chunk of tables.
    """

    name: str
    setting: str
    run: Callable[[Draw], Iterable[Outcome]]


def outcome(
    row: str, column: str, hits: BoolArray | Iterable[bool], least: float = 0.0, most: float = 1.0
) -> Outcome:
    """The outcome of one hit or miss a table."""
    array = np.fromiter(hits, dtype=np.bool_)
    return Outcome(row, column, int(array.sum()), array.size, least, most)


def average(row: str, column: str, values: FloatArray) -> Outcome:
    """The outcome of one number a table: their mean."""
    return Outcome(row, column, 0, values.size, total=float(values.sum()))


def noise(generator: np.random.Generator, shape: Shape, size: tuple[int, ...]) -> FloatArray:
    """Noise of mean 0 and variance 1.

    Args:
        generator: Its source.
        shape: ``gamma`` is moderately skewed (skewness 1), ``log-normal`` strongly (6.2).
        size: Shape of the result.
    """
    if shape == "normal":
        return generator.normal(size=size)
    if shape == "gamma":
        return generator.gamma(4.0, size=size) / 2.0 - 2.0
    e = np.e
    drawn: FloatArray = (generator.lognormal(size=size) - np.sqrt(e)) / np.sqrt(e * (e - 1.0))
    return drawn


def clustered(
    generator: np.random.Generator, shape: Shape, size: tuple[int, ...], correlation: float = CORRELATION
) -> FloatArray:
    """Values of mean 0 and variance 1 whose images move together with their prompt.

    Args:
        generator: Their source.
        shape: Of the prompts' and of the images' noise.
        size: (..., prompts, images).
        correlation: Of two images of one prompt.
    """
    prompts = noise(generator, shape, (*size[:-1], 1))
    images = noise(generator, shape, size)
    values: FloatArray = np.sqrt(correlation) * prompts + np.sqrt(1 - correlation) * images
    return values
