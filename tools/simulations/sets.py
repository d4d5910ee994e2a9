"""The group jackknife of set metrics."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.jackknife import GROUPS, jackknife_interval
from tools.simulations.cases import Case, Draw, Outcome, outcome

_IMAGES, _FEATURES = 4, 8
_SIZES: Final = (50, 96, 200)
_SETTINGS: Final = {
    "equal sets": (0.0, 1.0),
    "one moved by 0.3": (0.3, 1.0),
    "one narrower by 0.3": (0.0, 0.7),
}
"""Mean and standard deviation of the features of one set; those of the other are 0 and 1."""


def _run(draw: Draw) -> Iterator[Outcome]:
    for name, (mean, sd) in _SETTINGS.items():
        moved, narrower = _FEATURES * mean**2, _FEATURES * (sd - 1) ** 2
        for prompts in _SIZES:
            tables = [_sets(draw.generator, prompts, mean, sd) for _ in range(draw.tables)]
            column = f"{prompts} prompts"
            held = [_covers(_frechet, a, b, moved + narrower) for a, b in tables]
            yield outcome(f"Frechet distance, {name}", column, held)
            held = [_covers(_mean_distance, a, b, moved) for a, b in tables]
            yield outcome(f"squared distance of means, {name}", column, held)


def _sets(
    generator: np.random.Generator, prompts: int, mean: float, sd: float
) -> tuple[FloatArray, FloatArray]:
    """Features of two sets on the same prompts, shape (prompts, images, features)."""
    size = (prompts, _IMAGES, _FEATURES)
    shared = generator.normal(size=(prompts, 1, _FEATURES))
    a, b = (np.sqrt(0.5) * (shared + generator.normal(size=size)) for _ in "ab")
    return mean + sd * a, b


def _covers(
    metric: Callable[[FloatArray, FloatArray], FloatArray], a: FloatArray, b: FloatArray, truth: float
) -> bool:
    group = np.arange(a.shape[0]) % GROUPS
    # A row for all prompts, then one without each group.
    kept = np.vstack([np.ones(a.shape[0]), np.arange(GROUPS)[:, None] != group]).astype(np.float64)
    values = metric(a, kept) - metric(b, kept)
    interval = jackknife_interval(float(values[0]), values[1:])
    return interval.lo <= truth <= interval.hi


def _frechet(x: FloatArray, kept: FloatArray) -> FloatArray:
    r"""To a standard normal reference: $|\mu|^2 + \mathrm{tr}(\Sigma + I - 2 \Sigma^{1/2})$."""
    n = kept.sum(axis=1)[:, None] * _IMAGES
    mean = kept @ x.sum(axis=1) / n
    products = np.einsum("pki,pkj->pij", x, x).reshape(x.shape[0], -1)
    squares = (kept @ products).reshape(-1, _FEATURES, _FEATURES)
    n = n[..., None]
    covariance = (squares - n * mean[:, :, None] * mean[:, None, :]) / (n - 1)
    distance: FloatArray = (mean**2).sum(axis=1)
    distance += ((np.sqrt(np.linalg.eigvalsh(covariance)) - 1) ** 2).sum(axis=1)
    return distance


def _mean_distance(x: FloatArray, kept: FloatArray) -> FloatArray:
    """The same with a linear kernel, over pairs of different prompts only: unbiased, as KID and CMMD are."""
    means = x.mean(axis=1)
    n = kept.sum(axis=1)
    pairs = ((kept @ means) ** 2).sum(axis=1) - kept @ (means**2).sum(axis=1)
    distance: FloatArray = pairs / (n * (n - 1))
    return distance


SETS: Final = Case(
    "sets",
    f"95 % jackknife intervals ({GROUPS} groups) of the difference of two set metrics, {_IMAGES} images a "
    f"prompt of {_FEATURES} features; coverage is stated, not promised.",
    _run,
)
