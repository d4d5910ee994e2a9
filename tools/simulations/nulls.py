"""p values under the null, and Holm's adjustment."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.p_values import holm, sign_flip_p
from tools.simulations.cases import Case, Draw, Outcome, Shape, clustered, noise, outcome

_PROMPTS, _IMAGES = 50, 4
_DIFFERENCES: Final = 20
"""Differences a table: p values cost little, and uniformity is seen in the tails."""

_FLIPS: Final = 400
"""For each comparison of a family: 20 / 0.05, the least that is in use."""

_SHAPES: Final[tuple[Shape, ...]] = ("normal", "gamma", "log-normal")
_TIED: Final = "0 for most prompts"
_SKEWED: Final = "skewed differences"
"""Not symmetric, as the test supposes: nothing is asked."""

_LEVELS: Final = {0.01: 0.002, 0.05: 0.005, 0.1: 0.01, 0.25: 0.01, 0.5: 0.01, 0.75: 0.01, 0.9: 0.01}
"""Levels of p, and how far from it the share of p at or below it may be."""


def _run(draw: Draw) -> Iterator[Outcome]:
    for name, differences in _without_a_true_one(draw):
        p = sign_flip_p(differences, flips=draw.resamples, seed=draw.seed)
        for level, slack in _LEVELS.items():
            # Where most differences are 0, sums tie, and a valid test can only be too careful.
            least = level - slack if name in _SHAPES else 0.0
            most = level + slack if name != _SKEWED else 1.0
            yield outcome(name, f"p ≤ {level:g}", p <= level, least, most)


def _without_a_true_one(draw: Draw) -> Iterator[tuple[str, FloatArray]]:
    """Differences of two equal checkpoints, shape (prompts, tables), by what they are like."""
    generator, size = draw.generator, (_DIFFERENCES * draw.tables, _PROMPTS, _IMAGES)
    for shape in _SHAPES:
        # However skewed the scores: the differences are symmetric.
        first = clustered(generator, shape, size).mean(axis=2)
        yield shape, (first - clustered(generator, shape, size).mean(axis=2)).T
    few = generator.random(size[:2]) < 0.3
    yield _TIED, np.where(few, generator.choice([-0.25, 0.25], size[:2]), 0.0).T
    yield _SKEWED, noise(generator, "gamma", size[:2]).T


def _families(draw: Draw) -> Iterator[Outcome]:
    """Checkpoints against one reference: none differs, or half of them do."""
    for family in (2, 8, 20):
        for effect in (0.0, 0.3, 0.5, 0.7) if family == 8 else (0.0, 0.5):
            different = family // 2 if effect else 0
            size = (draw.tables, family + 1, _PROMPTS, _IMAGES)
            runs = clustered(draw.generator, "gamma", size).mean(axis=3)
            runs[:, :different] += effect
            differences = (runs[:, :-1] - runs[:, [-1]]).transpose(2, 0, 1).reshape(_PROMPTS, -1)
            p = sign_flip_p(differences, flips=_FLIPS * family, seed=draw.seed).reshape(-1, family)
            rejected = np.array([holm(row) < 0.05 for row in p])
            row = f"{family} checkpoints, " + (
                f"{different} differ by {effect:g}" if different else "all equal"
            )
            yield outcome(
                row, "a false finding", [bool(false.any()) for false in rejected[:, different:]], 0.0, 0.05
            )
            if different:
                yield outcome(row, "one that differs is found", rejected[:, :different].ravel())


TESTS: Final = Case(
    "tests",
    f"Sign-flip p values of differences that are none, {_PROMPTS} prompts x {_IMAGES} images. Scores of two "
    "equal checkpoints of the named shape; scores of which seven in ten prompts have the same for both; and "
    "differences of mean 0 that are skewed themselves, for which the test is only approximate.",
    _run,
)

HOLM: Final = Case(
    "holm",
    f"Holm's adjustment at 5 % over checkpoints that share a reference, gamma, {_PROMPTS} x {_IMAGES}; "
    "effects in standard deviations between images.",
    _families,
)
