"""Triplets for the perceptual distance: the same scene drawn with other pixels, and another scene."""

import torch
from torch import Tensor, nn

from benchmark.shapes.renderer import render
from benchmark.shapes.scenes import RADIUS, SIDE, Scenes, Wanted, sample_scenes
from benchmark.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, STYLES
from tools.build_shapes.oracles import blur
from tools.build_shapes.trials import Triplets, pixels_are_right

SHIFT = 2
"""Pixels by which a near picture may be shifted."""


def another(values: Tensor, many: int, g: torch.Generator) -> Tensor:
    """Other class indices than these."""
    return (values + torch.randint(1, many, values.shape, generator=g)) % many


def near_scenes(scenes: Scenes, g: torch.Generator) -> Scenes:
    """The same scenes with other strokes, light, tint and softness."""
    n = len(scenes)
    return scenes.with_(
        phase=torch.rand(n, 4, generator=g),
        light=(scenes.light + torch.rand(n, generator=g) - 0.5).clamp(-1, 1),
        tint=(scenes.tint + 0.05 * (torch.rand(n, 2, 3, generator=g) - 0.5)).clamp(-0.1, 0.1),
        softness=1.0 + 0.8 * torch.rand(n, generator=g),
    )


def spoil_pixels(images: Tensor, g: torch.Generator) -> Tensor:
    """Shifts every picture by up to `SHIFT` pixels; a third becomes noisy, a third slightly blurred."""
    n = len(images)
    padded = nn.functional.pad(images, [SHIFT] * 4, mode="replicate")
    corner = torch.randint(0, 2 * SHIFT + 1, (n, 2), generator=g).tolist()
    moved = torch.stack([padded[i, :, y : y + SIDE, x : x + SIDE] for i, (y, x) in enumerate(corner)])
    kind = torch.rand(n, 1, 1, 1, generator=g)
    noisy = moved + 0.12 * torch.rand(n, 1, 1, 1, generator=g) * torch.randn(images.shape, generator=g)
    return torch.where(kind < 1 / 3, blur(moved, 0.7), torch.where(kind > 2 / 3, noisy, moved)).clamp(0, 1)


def far_scenes(scenes: Scenes, g: torch.Generator) -> Scenes:
    """One thing is another: an object's shape, colour, size, place, the background, style, or count."""
    n = len(scenes)
    which = torch.randint(0, 7, (n,), generator=g)
    # Of a single object the second is not drawn.
    one = nn.functional.one_hot((torch.rand(n, generator=g) < 0.5).long() * (scenes.count - 1), 2).bool()

    def changed(kind: int, old: Tensor, new: Tensor) -> Tensor:
        mask = which == kind
        mask = mask[:, None] & one if old.ndim == 2 else mask
        return torch.where(mask, new, old)

    size = changed(2, scenes.size, 1 - scenes.size)
    low, high = (torch.tensor(bound)[size] for bound in zip(*RADIUS, strict=True))
    resized = low + (high - low) * torch.rand(n, 2, generator=g)
    radius = torch.where(size == scenes.size, scenes.radius, resized)
    elsewhere = sample_scenes(Wanted.anything(n), g)
    moved = torch.where((which == 3)[:, None, None], elsewhere.centre, scenes.centre)
    count = changed(6, scenes.count, 3 - scenes.count)
    # A second object that appears needs a place: all of the geometry is then another scene's.
    fresh = (count == 2) & ((scenes.count == 1) | (which == 2) | (which == 3))
    again = sample_scenes(_layout(count, size), g)
    return scenes.with_(
        shape=changed(0, scenes.shape, another(scenes.shape, len(SHAPES), g)),
        colour=changed(1, scenes.colour, another(scenes.colour, len(COLOURS), g)),
        size=size,
        count=count,
        radius=torch.where(fresh[:, None], again.radius, radius),
        centre=torch.where(fresh[:, None, None], again.centre, moved),
        background=changed(4, scenes.background, another(scenes.background, len(BACKGROUNDS), g)),
        style=changed(5, scenes.style, another(scenes.style, len(STYLES), g)),
    )


def _layout(count: Tensor, size: Tensor) -> Wanted:
    wanted = Wanted.anything(len(count))
    wanted.count.copy_(count)
    wanted.size.copy_(size)
    return wanted


def draw_triplets(n: int, g: torch.Generator) -> Triplets:
    """N triplets, with no regard to pixels."""
    scenes = sample_scenes(Wanted.anything(n), g)
    near = spoil_pixels(render(near_scenes(scenes, g)).clamp(0, 1), g)
    reference, far = (render(s).clamp(0, 1) for s in (scenes, far_scenes(scenes, g)))
    return Triplets(reference, near, far)


def hard_triplets(n: int, g: torch.Generator) -> Triplets:
    """Up to n triplets on which pixels are right half of the time or less: wrong ones, and as many others."""
    pool = draw_triplets(n + n // 2, g)
    right = pixels_are_right(pool)
    wrong_rows = (~right).nonzero().squeeze(1)[: n // 2]
    return pool[torch.cat([wrong_rows, right.nonzero().squeeze(1)[: len(wrong_rows)]])]
