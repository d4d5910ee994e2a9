"""The group jackknife of set metrics."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.jackknife import GROUPS, jackknife_interval
from benchmark.studies.simulations.cases import Case, Draw, Outcome, outcome

_PROMPTS, _IMAGES, _FEATURES = 200, 4, 8
_MOVED: Final = 0.3


def _run(draw: Draw) -> Iterator[Outcome]:
    for name, moved in (("equal sets", 0.0), (f"one moved by {_MOVED}", _MOVED)):
        frechet, kernel = [], []
        for _ in range(draw.tables):
            a, b = _sets(draw.generator, moved)
            frechet.append(_covers(_frechet, a, b, _FEATURES * moved**2))
            kernel.append(_covers(_mean_distance, a, b, _FEATURES * moved**2))
        yield outcome(f"Frechet distance, {name}", frechet)
        yield outcome(f"squared distance of means, {name}", kernel)


def _sets(generator: np.random.Generator, moved: float) -> tuple[FloatArray, FloatArray]:
    """Features of two sets on the same prompts, shape (prompts, images, features), variance 1."""
    size = (_PROMPTS, _IMAGES, _FEATURES)
    shared = generator.normal(size=(_PROMPTS, 1, _FEATURES))
    a = np.sqrt(0.5) * shared + np.sqrt(0.5) * generator.normal(size=size) + moved
    b = np.sqrt(0.5) * shared + np.sqrt(0.5) * generator.normal(size=size)
    return a, b


def _covers(metric: Callable[[FloatArray], float], a: FloatArray, b: FloatArray, truth: float) -> bool:
    value = metric(a) - metric(b)
    folds = np.array_split(np.arange(_PROMPTS), GROUPS)
    left_out = np.array([metric(np.delete(a, f, 0)) - metric(np.delete(b, f, 0)) for f in folds])
    interval = jackknife_interval(value, left_out)
    return interval.lo <= truth <= interval.hi


def _frechet(x: FloatArray) -> float:
    r"""To a standard normal reference: $|\mu|^2 + \mathrm{tr}(\Sigma + I - 2 \Sigma^{1/2})$."""
    flat = x.reshape(-1, x.shape[-1])
    eigenvalues = np.linalg.eigvalsh(np.cov(flat, rowvar=False))
    return float((flat.mean(axis=0) ** 2).sum() + ((np.sqrt(eigenvalues) - 1) ** 2).sum())


def _mean_distance(x: FloatArray) -> float:
    """The same with a linear kernel, over pairs of different prompts only: unbiased, as KID and CMMD are."""
    means = x.mean(axis=1)
    n = means.shape[0]
    total = means.sum(axis=0)
    return float(((total**2).sum() - (means**2).sum()) / (n * (n - 1)))


SETS: Final = Case(
    "sets",
    f"95 % jackknife intervals ({GROUPS} groups) of the difference of two set metrics on "
    f"{_PROMPTS} x {_IMAGES} images of {_FEATURES} features; coverage is stated, not promised.",
    _run,
)
