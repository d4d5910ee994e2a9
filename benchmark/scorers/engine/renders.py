"""The fixed reference set of ``fid``: renders of the embedded world, drawn from a seed."""

from functools import cache

import torch

from benchmark.scorers.engine.arrays import RGB
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scenes import Wanted, sample_scenes

COUNT, SEED = 2000, 20260


@cache
def renders(count: int = COUNT, seed: int = SEED) -> tuple[RGB, ...]:
    """Renders of scenes about which nothing is stated, uint8 (64, 64, 3) each."""
    scenes = sample_scenes(Wanted.anything(count), torch.Generator().manual_seed(seed))
    return tuple(to_uint8(render(scenes)).numpy())
