"""True diversity: how much the images of one prompt differ in what it leaves open, over the world's own.

For every open fact, the share of image *pairs* that differ in it: with K images of which n_v show the value
v,

    d = 1 - sum_v n_v (n_v - 1) / (K (K - 1)),

unbiased for 1 - sum_v p_v^2 at any K >= 2. For position, scale and rotation, the mean absolute difference of
a pair. Each is divided by its value in the world, and the quotients are averaged: 1 means as varied as the
world.
"""

from functools import lru_cache

import torch
from torch import Tensor

from benchmark.shapes.alignment import alignments, as_seen
from benchmark.shapes.facts import Facts, wanted
from benchmark.shapes.readings import Readings, reading_of
from benchmark.shapes.scenes import sample_scenes

WORLD_SCENES = 512
"""Scenes from which the world's own value for a prompt is estimated."""


def true_diversity(facts: Facts, readings: Readings, scene: Tensor) -> float | None:
    """The diversity of the images of one prompt.

    Args:
        facts: What the prompt states.
        readings: The reading of each of its K images.
        scene: Whether each is a scene at all, (K,) bool.

    Returns:
        How varied the accepted ones are, the scenes with all stated facts right; None with fewer than two.
    """
    accepted, first = _accepted(facts, readings, scene)
    if int(accepted.sum()) < 2:
        return None
    world = world_differences(facts)
    found = differences(facts, readings[accepted], first[accepted])
    return sum(found[k] / world[k] for k in world) / len(world)


def pair_diversity(facts: Facts, readings: Readings, scene: Tensor) -> Tensor:
    """What each pair of images adds to :func:`true_diversity`, which is the mean over the accepted ones.

    Args:
        facts: What the prompt states.
        readings: The reading of each of its K images.
        scene: Whether each is a scene at all, (K,) bool.

    Returns:
        Float64 of shape (K, K), in units of the world's own mean; ``NaN`` where one is not accepted.
    """
    accepted, first = _accepted(facts, readings, scene)
    world = world_differences(facts)
    seen = open_values(facts, readings, first)
    apart = {
        k: (values[:, None] - values[None]).abs().mean(-1)
        if values.is_floating_point()
        else (values[:, None] != values[None]).double()
        for k, values in seen.items()
        if k in world
    }
    found = sum((apart[k] / world[k] for k in world), torch.zeros(len(readings), len(readings))) / len(world)
    return found.double().masked_fill(~(accepted[:, None] & accepted[None]), torch.nan)


def _accepted(facts: Facts, readings: Readings, scene: Tensor) -> tuple[Tensor, Tensor]:
    """Which images are scenes with all stated facts right, and which object of each is the prompt's first."""
    matches = alignments([facts] * len(readings), readings)
    accepted = torch.tensor([m.share == 1 for m in matches]) & scene
    return accepted, torch.tensor([m.first for m in matches])


@lru_cache(maxsize=4096)
def world_differences(facts: Facts) -> dict[str, float]:
    """The pairwise differences of the world's own scenes for these facts."""
    g = torch.Generator().manual_seed(0)
    scenes = reading_of(sample_scenes(wanted([facts] * WORLD_SCENES), g))
    first = torch.tensor([m.first for m in alignments([facts] * WORLD_SCENES, scenes)])
    found = differences(facts, scenes, first)
    return {k: v for k, v in found.items() if v > 1e-6}


def differences(facts: Facts, readings: Readings, first: Tensor) -> dict[str, float]:
    """The mean difference of a pair of images in every open fact and in position, scale and rotation."""
    return {
        k: float(mean_pair_difference(values).mean())
        if values.is_floating_point()
        else share_that_differ(values.tolist())
        for k, values in open_values(facts, readings, first).items()
    }


def open_values(facts: Facts, readings: Readings, first: Tensor) -> dict[str, Tensor]:
    """What images show of every open fact, (K,) whole numbers, and of positions, sizes, turns, (K, d)."""
    count = len(facts.objects)
    seen = [row.slots(count, f) for row, f in zip(as_seen(readings), first.tolist(), strict=True)]
    out = {f"{k}{i}": torch.tensor([s[k, i] for s in seen]) for k, i, value in facts.slots() if value is None}
    order = torch.stack([first, 1 - first], 1)[:, :count]
    rows = torch.arange(len(readings))[:, None]
    for name in ("centre", "radius", "angle"):
        out[name] = getattr(readings, name)[rows, order].reshape(len(readings), -1)
    return out


def share_that_differ(values: list[int]) -> float:
    """The share of pairs with different values.

    >>> share_that_differ([1, 1, 2])
    0.6666666666666667
    """
    n = len(values)
    same = sum(values.count(v) * (values.count(v) - 1) for v in set(values))
    return 1 - same / (n * (n - 1))


def mean_pair_difference(values: Tensor) -> Tensor:
    """Mean absolute difference over pairs, for each column of (n, d), by sorting: O(n log n)."""
    n = len(values)
    weights = 2 * torch.arange(n) - n + 1
    return (values.sort(0).values * weights[:, None]).sum(0) * 2 / (n * (n - 1))
