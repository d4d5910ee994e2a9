"""Is the picture a scene at all? A check that is not learned: draw what was read, look at what is left.

The reading's geometry is fitted a little in position, scale and rotation. Objects are drawn again in their
style, the background as the best function of the row (of the diagonal for stripes), the mean colours inside
and around each object are matched, and both pictures are blurred a little so that the phase of a texture
counts less. A residual of the objects or of the background beyond the 99th percentile of autoencoder round
trips of the same style means: not a scene.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from benchmark.shapes.readings import Readings
from benchmark.shapes.renderer import cover, distances, render
from benchmark.shapes.scenes import MAX_ANGLE, SIDE, Scenes
from benchmark.shapes.vocabulary import BACKGROUNDS, STYLES

SIGMA = 1.0
ROUNDS, CANDIDATES = 4, 16
REACH = 3.0
"""Pixels around an object that count as its neighbourhood."""
OUTSIDE = {"pixel": 1.8, "sketch": 0.8}
"""Pixels by which a style draws an object's outline outside the object."""
CAP = 3.4
"""Height in pixels of the snow on an object in winter."""


def residuals(images: Float[Tensor, "n 3 64 64"], readings: Readings) -> Float[Tensor, "n 2"]:
    """Root mean square left over in the worse object and in the background; infinite if incomplete."""
    out = torch.full((len(images), 2), torch.inf)
    usable = complete(readings)
    for rows in usable.nonzero().squeeze(1).split(64):
        out[rows] = _residuals(images[rows], _as_scenes(readings[rows]))
    return out


def complete(readings: Readings) -> Bool[Tensor, " n"]:
    """Whether all of a scene was read: each object's shape, colour and size, background and style."""
    there = torch.arange(2) < readings.count[:, None]
    things = torch.stack([readings.shape, readings.colour, readings.size]).ge(0).all(0)
    pair = (readings.count < 2) | (readings.axis >= 0)
    return (
        (readings.count > 0)
        & (things | ~there).all(1)
        & pair
        & (readings.background >= 0)
        & (readings.style >= 0)
    )


def _as_scenes(readings: Readings) -> Scenes:
    n = len(readings)
    return Scenes(
        count=readings.count,
        shape=readings.shape.clamp(min=0),
        colour=readings.colour.clamp(min=0),
        size=readings.size.clamp(min=0),
        relation=torch.where(readings.axis >= 0, 2 * readings.axis, -1),
        background=readings.background,
        style=readings.style,
        centre=readings.centre,
        radius=readings.radius.clamp(5, 16),
        angle=readings.angle,
        softness=torch.full((n,), 1.4),
        tint=torch.zeros(n, 2, 3),
        light=torch.zeros(n),
        phase=torch.full((n, 4), 0.5),
    )


def _axes(cell: int = 1) -> tuple[Tensor, Tensor]:
    """Coordinates of the centres of square cells, (1, h, w) each."""
    axis = (torch.arange(SIDE // cell) + 0.5) * cell
    return axis[None, None, :].expand(1, len(axis), -1), axis[None, :, None].expand(1, -1, len(axis))


def _background_profile(images: Tensor, free: Tensor, scenes: Scenes) -> Tensor:
    """The mean of the background's pixels along every row, or along every diagonal for stripes."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    stripes = scenes.background == list(BACKGROUNDS).index("stripes")
    line = torch.where(stripes[:, None, None], x + y, y[None]).flatten(1)
    weight = free.flatten(1)[:, None]
    lines = line[:, None].expand(-1, 3, -1)
    total = torch.zeros(len(images), 3, 2 * SIDE).scatter_add_(2, lines, images.flatten(2) * weight)
    mass = torch.zeros(len(images), 3, 2 * SIDE).scatter_add_(2, lines, weight.expand(-1, 3, -1))
    overall = (images.flatten(2) * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp(min=1)
    mean = torch.where(mass > 0.5, total / mass.clamp(min=0.5), overall)
    return mean.gather(2, lines).reshape(images.shape)


def _fit(images: Tensor, scenes: Scenes) -> Scenes:
    """Improves each object's geometry by a small, fixed random search at half the resolution."""
    winter = scenes.style == list(STYLES).index("winter")
    g = torch.Generator().manual_seed(0)
    x, y = _axes(cell=2)
    n = len(scenes)
    picture = functional.avg_pool2d(images, 2).repeat_interleave(CANDIDATES, 0)
    spread = torch.tensor([1.2, 1.2, 0.8, 6.0])
    for _ in range(ROUNDS):
        step = torch.randn(CANDIDATES, 4, generator=g) * spread
        step[0] = 0
        spread = spread / 2
        tried = scenes.expand(CANDIDATES)
        move = step.repeat(n, 1)
        tried = replace(
            tried,
            centre=tried.centre + move[:, None, :2],
            radius=(tried.radius + move[:, None, 2]).clamp(5, 16),
            angle=(tried.angle + move[:, None, 3]).clamp(-MAX_ANGLE, MAX_ANGLE),
        )
        sd = distances(tried, x, y) - _outline_width(tried)
        lower = distances(tried, x, y - CAP)
        snowy = winter.repeat_interleave(CANDIDATES)[:, None, None]
        error = torch.stack([_flat_error(picture, sd[:, i], (lower[:, i] > 0) & snowy) for i in range(2)], 1)
        pick = torch.arange(n)[:, None] * CANDIDATES + error.unflatten(0, (n, CANDIDATES)).argmin(1)
        column = torch.arange(2)[None].expand(n, 2)
        scenes = replace(
            scenes, **{k: getattr(tried, k)[pick, column] for k in ("centre", "radius", "angle")}
        )
    return scenes


def _outline_width(scenes: Scenes) -> Tensor:
    """`OUTSIDE` of every scene's style, to be taken from distances (n, 2, h, w)."""
    return torch.tensor([OUTSIDE.get(name, 0.0) for name in STYLES])[scenes.style][:, None, None, None]


def _flat_error(images: Tensor, sd: Tensor, cap: Tensor) -> Tensor:
    """Mean square left over near an object of one colour inside, one outline, one cap, one around, (n,)."""
    near = (sd < REACH).float()
    mask, core = cover(sd, 2.0) * near, cover(sd + 1.4, 2.0) * near
    snow = mask * cap
    mask, core = mask - snow, core * ~cap
    pixels, total = images.flatten(2), torch.zeros(len(images))
    for region in (core, mask - core, snow, near - mask - snow):
        weight = region.flatten(1)[:, None]
        mass = weight.sum((1, 2)).clamp(min=1)
        total += (pixels.square() * weight).sum((1, 2)) - (pixels * weight).sum(2).square().sum(1) / mass
    return total / near.sum((1, 2)).clamp(min=1)


def _residuals(images: Tensor, scenes: Scenes) -> Tensor:
    """The better of the reading as it is and as fitted: flat masks know nothing of snow caps and strokes."""
    return torch.minimum(_left_over(images, scenes), _left_over(images, _fit(images, scenes)))


def _left_over(images: Tensor, scenes: Scenes) -> Tensor:
    sd = distances(scenes, *_axes())
    free = (sd >= REACH).all(1).float()
    profile = _background_profile(images, free, scenes)
    mask = cover(sd - _outline_width(scenes), 1.4).amax(1, keepdim=True)
    left = blurred(images) - blurred(profile + (render(scenes).clamp(0, 1) - profile) * mask)
    objects = torch.zeros(len(images))
    for i in range(2):
        near, inside = (sd[:, i] < REACH).float(), (sd[:, i] < 0).float()
        square = sum(_spread(left, weight) for weight in (inside, near - inside)) / near.sum((1, 2)).clamp(
            min=1
        )
        objects = torch.maximum(objects, torch.where(scenes.count > i, square, 0.0))
    rest = ((blurred(images) - blurred(profile)).square().mean(1) * free).sum((1, 2)) / free.sum(
        (1, 2)
    ).clamp(min=1)
    return torch.stack([objects, rest], 1).sqrt()


def _spread(left: Tensor, weight: Tensor) -> Tensor:
    """The sum over a region of the squared deviation from its mean colour, averaged over channels, (n,)."""
    weight = weight[:, None]
    mean = (left * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp(min=1)
    return ((left - mean).square() * weight).sum((2, 3)).mean(1)


def blurred(images: Tensor) -> Tensor:
    """Gaussian blur with `SIGMA` pixels, borders repeated."""
    reach = int(3 * SIGMA + 0.5)
    x = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-(x**2) / (2 * SIGMA**2))
    kernel = (kernel / kernel.sum())[None, None]
    flat = functional.pad(images.flatten(0, 1)[:, None], [reach] * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(flat, kernel[:, :, None]), kernel[..., None]).reshape(
        images.shape
    )


@cache
def thresholds(path: Path) -> Tensor:
    """The largest residuals of a scene in every style, (styles, 2), as the builder measured them."""
    limits = json.loads(path.read_text())["p99"]
    return torch.tensor([limits[name] for name in STYLES])


def is_scene(
    residual: Float[Tensor, "n 2"], readings: Readings, limits: Float[Tensor, "styles 2"]
) -> Bool[Tensor, " n"]:
    """Whether each image is a scene."""
    return (residual <= limits[readings.style.clamp(min=0)]).all(1)
