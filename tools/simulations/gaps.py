"""Prompts without a number: what selection does to means, differences and regions."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.cells import over_own_prompts, own_means
from benchmark.stats.intervals import mean_intervals
from benchmark.stats.region import joint_region
from tools.simulations.cases import Case, Draw, Outcome, average, outcome

_PROMPTS: Final = 150
_MANY: Final = 1_000_000
"""Prompts of what is taken for the truth: known to 0.002 standard deviations."""

_MISSING: Final = (0.30, 0.20)
"""Share of the prompts that the base, and the checkpoint, have no diversity of (seen in five seeds: 27 %, and
21 to 24 %)."""

_QUALITY: Final = 0.3
_EFFECTS: Final = np.array([-0.1, 0.8 * _QUALITY])
"""Of the checkpoint on diversity and on reward, in standard deviations between prompts."""

_SETTINGS: Final = ("at random", "prompts that are hard for both", "where the checkpoint is worse")


@dataclass(frozen=True, eq=False)
class _Table:
    """Diversity and reward of the base and of a checkpoint, shape (prompts, 2 checkpoints, 2 axes)."""

    whole: FloatArray
    seen: FloatArray


def _table(generator: np.random.Generator, setting: str, prompts: int) -> _Table:
    """Hard prompts have low quality; quality moves reward, and, less, diversity."""
    hard, look = generator.normal(size=(2, prompts, 1))
    luck, reward, own = generator.normal(size=(3, prompts, 2))
    quality = -0.7 * hard + np.sqrt(0.51) * luck
    diversity = 0.5 * quality + np.sqrt(0.75) * (0.8 * look + 0.6 * own)
    whole = np.stack([diversity, 0.8 * quality + 0.6 * reward], axis=2)
    whole[:, 1] += _EFFECTS
    if setting == "at random":
        gone = generator.random((prompts, 2)) < _MISSING
    elif setting == "where the checkpoint is worse":
        # The share that the base misses lies below this quality; the checkpoint is ahead of it by so much.
        gone = quality + np.array([0.0, _QUALITY]) < -0.5244
    else:
        gone = np.repeat(hard > 0.6745, 2, axis=1)
    seen = whole.copy()
    seen[..., 0][gone] = np.nan
    return _Table(whole, seen)


@dataclass(frozen=True, eq=False)
class _Found:
    """Effects on diversity and reward, shape (2,).

    Attributes:
        paired: Over the prompts that both have of a scorer.
        own: Of means that are each over their own prompts.
        common: Over the prompts that both have of both scorers.
    """

    paired: FloatArray
    own: FloatArray
    common: FloatArray


def _found(table: _Table) -> _Found:
    lead = table.seen[:, 1] - table.seen[:, 0]
    own = own_means(table.seen)
    complete = ~np.isnan(table.seen).any(axis=(1, 2))
    return _Found(own_means(lead), own[1] - own[0], lead[complete].mean(axis=0))


@lru_cache
def _truth(setting: str) -> _Found:
    return _found(_table(np.random.default_rng(0), setting, _MANY))


def _run(draw: Draw) -> Iterator[Outcome]:
    for setting in _SETTINGS:
        truth = _truth(setting)
        differences, regions, commons = ([list[bool](), list[bool]()] for _ in range(3))
        found = []
        for t in range(draw.tables):
            table = _table(draw.generator, setting, _PROMPTS)
            found.append(_found(table))
            seed = draw.seed + t
            lead = table.seen[:, 1] - table.seen[:, 0]
            (interval, _) = mean_intervals(lead, resamples=draw.resamples, seed=seed)
            z = over_own_prompts(table.seen)
            region = joint_region(z[:, 1] - z[:, 0], resamples=draw.resamples, seed=seed)
            common = joint_region(
                lead[~np.isnan(table.seen).any(axis=(1, 2))], resamples=draw.resamples, seed=seed
            )
            assert region is not None, "there are prompts enough"
            assert common is not None, "there are prompts enough"
            for held, means in zip(differences, (truth.paired, _EFFECTS), strict=True):
                held.append(bool(interval.lo <= means[0] <= interval.hi))
            for held, means in zip(regions, (truth.own, _EFFECTS), strict=True):
                held.append(region.contains(means))
            for held, means in zip(commons, (truth.common, _EFFECTS), strict=True):
                held.append(common.contains(means))
        yield outcome(setting, "difference covers its own", differences[0], 0.93, 0.97)
        yield outcome(setting, "difference covers the effect", differences[1])
        yield outcome(setting, "region covers its own", regions[0], 0.93, 0.97)
        yield outcome(setting, "region covers the effect", regions[1])
        yield outcome(setting, "region of common prompts covers the effect", commons[1])
        biases = {name: np.array([getattr(f, name) for f in found]) - _EFFECTS for name in vars(truth)}
        yield average(setting, "difference, bias", biases["paired"][:, 0])
        yield average(setting, "region, bias across", biases["own"][:, 0])
        yield average(setting, "region, bias upwards", biases["own"][:, 1])
        yield average(setting, "common prompts, bias upwards", biases["common"][:, 1])


GAPS: Final = Case(
    "gaps",
    f"A checkpoint against its base over {_PROMPTS} prompts. Across (diversity) {100 * _MISSING[0]:.0f} % of "
    f"the base's and {100 * _MISSING[1]:.0f} % of the checkpoint's have no number, or 25 % of both the same; "
    "upwards (reward) all have. `difference` is the table's, over prompts that both have; `region` is the "
    "figure's, each mean over its own prompts; each is asked to cover what it estimates. `the effect` is "
    "that on all prompts, had none been without a number: -0.1 across, 0.24 upwards. Biases are from it, in "
    "standard deviations between prompts. `common prompts`, those with all numbers of both, are what not to "
    "use.",
    _run,
)
