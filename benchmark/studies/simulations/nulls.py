"""p values under the null, and Holm's adjustment."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmark.stats.holm import holm
from benchmark.stats.sign_flip import sign_flip_p
from benchmark.studies.simulations.cases import Case, Draw, Outcome, Shape, clustered, outcome

_PROMPTS, _IMAGES = 50, 4
_FAMILY: Final = 8
_SHAPES: Final[tuple[Shape, ...]] = ("normal", "log-normal")


def _run(draw: Draw) -> Iterator[Outcome]:
    for shape in _SHAPES:
        size = (draw.tables, _PROMPTS, _IMAGES)
        d = (clustered(draw.generator, shape, size) - clustered(draw.generator, shape, size)).mean(axis=2)
        p = sign_flip_p(d.T, flips=draw.resamples, seed=draw.seed)
        for level in (0.01, 0.05, 0.1, 0.5):
            slack = 2.6 * np.sqrt(level * (1 - level) / 4000)
            yield outcome(f"{shape}: p <= {level:g}", p <= level, level - slack, level + slack)
    yield from _families(draw)


def _families(draw: Draw) -> Iterator[Outcome]:
    """Eight checkpoints against one reference: none differs, or half of them do."""
    for different in (0, _FAMILY // 2):
        rejected, found = [], []
        for table in range(draw.tables):
            runs = clustered(draw.generator, "gamma", (_FAMILY + 1, _PROMPTS, _IMAGES)).mean(axis=2)
            runs[:different] += 0.5
            p = sign_flip_p((runs[:-1] - runs[-1]).T, flips=draw.resamples, seed=draw.seed + table)
            adjusted = holm(p) < 0.05
            rejected.append(bool(adjusted[different:].any()))
            found.append(bool(adjusted[:different].all()))
        name = f"Holm, {_FAMILY} checkpoints, {different} differ by 0.5"
        yield outcome(f"{name}: a false one", rejected, 0.0, 0.05)
        if different:
            yield outcome(f"{name}: all {different} found", found)


TESTS: Final = Case(
    "tests",
    f"Sign-flip p values of {_PROMPTS} x {_IMAGES} differences of two equal checkpoints, and Holm's "
    "family-wise error over checkpoints that share a reference.",
    _run,
)
