"""Draws scenes: signed distances to every object, then one of five renderings.

A signed distance is in pixels, negative inside. Coverage of a pixel is a linear ramp of the distance, which
is what antialiasing amounts to for a straight edge.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.shapes.scenes import SIDE, Scenes
from benchmark.shapes.vocabulary import BACKGROUNDS, COLOUR_RGB, SHAPES, STYLES

Plane: TypeAlias = Float[Tensor, "#n h w"]
Colours: TypeAlias = Float[Tensor, "#n 3 h w"]

TAU = 2 * torch.pi
WHITE, COLD, PAPER = (0.96, 0.96, 0.94), (0.94, 0.97, 1.0), (0.95, 0.93, 0.87)
SKY_GROUND = {
    "white": (WHITE, WHITE),
    "night": ((0.04, 0.05, 0.16), (0.12, 0.10, 0.28)),
    "meadow": ((0.70, 0.85, 0.97), (0.55, 0.76, 0.42)),
    "desert": ((0.99, 0.88, 0.74), (0.85, 0.68, 0.46)),
    "stripes": ((0.66, 0.69, 0.75), (0.87, 0.88, 0.92)),
}


def render(scenes: Scenes) -> Float[Tensor, "n 3 64 64"]:
    """Images in [0, 1] of the scenes, each in its own style."""
    out = torch.empty(len(scenes), 3, SIDE, SIDE)
    for index, name in enumerate(STYLES):
        mine = scenes.style == index
        if mine.any():
            out[mine] = _STYLES[name](scenes[mine])
    return out


def to_uint8(images: Float[Tensor, "n 3 h w"]) -> Tensor:
    """Images in [0, 1] as 8-bit levels, rounded, channels last."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).movedim(1, -1)


# Signed distances of unit shapes: x to the right, y up.


def _circle(x: Plane, y: Plane) -> Plane:
    return (x**2 + y**2 + 1e-9).sqrt() - 0.94


def _box(x: Plane, y: Plane, half_width: float, half_height: float) -> Plane:
    return torch.maximum(x.abs() - half_width, y.abs() - half_height)


def _square(x: Plane, y: Plane) -> Plane:
    return _box(x, y, 0.82, 0.82)


def _cross(x: Plane, y: Plane) -> Plane:
    return torch.minimum(_box(x, y, 0.98, 0.34), _box(x, y, 0.34, 0.98))


def _triangle(x: Plane, y: Plane) -> Plane:
    """Equilateral, apex up: the largest distance to its three edges."""
    y = y + 0.16
    return torch.maximum(-y, 0.5 * y + (3**0.5 / 2) * x.abs()) - 0.56


def _star(x: Plane, y: Plane) -> Plane:
    """Five points: fold the plane into one half-sector, then the distance to the line from tip to notch."""
    sector = TAU / 5
    theta = torch.atan2(x, y + 1e-9)
    theta = (torch.remainder(theta + sector / 2, sector) - sector / 2).abs()
    rho = (x**2 + y**2 + 1e-9).sqrt()
    along, aside = rho * theta.cos(), rho * theta.sin()
    tip, notch = 1.08, 0.50
    nx, ny = notch * torch.sin(torch.tensor(sector / 2)), notch * torch.cos(torch.tensor(sector / 2))
    length = torch.hypot(nx, tip - ny)
    return ((along - tip) * nx + aside * (tip - ny)) / length


def _heart(x: Plane, y: Plane) -> Plane:
    """A square standing on its corner with a half-disc on each upper side."""
    side, x, y = 0.56, x.abs(), y + 0.16
    square = (x + y.abs()) / 2**0.5 - side
    offset = side / 2**0.5
    lobe = ((x - offset) ** 2 + (y - offset) ** 2 + 1e-9).sqrt() - side
    return torch.minimum(square, lobe)


_SHAPES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
}


def _grid(cell: int = 1) -> tuple[Tensor, Tensor]:
    """Pixel coordinates (y down); with `cell` > 1 every pixel stands at the centre of its cell."""
    axis = (torch.arange(SIDE) // cell).float() * cell + cell / 2
    return axis[None, None, :].expand(1, SIDE, SIDE), axis[None, :, None].expand(1, SIDE, SIDE)


def distances(scenes: Scenes, x: Tensor, y: Tensor) -> Float[Tensor, "n objects h w"]:
    """Signed distance in pixels to each object; a missing object is far away."""
    dx = x[:, None] - scenes.centre[:, :, 0, None, None]
    dy = -(y[:, None] - scenes.centre[:, :, 1, None, None])
    angle = torch.deg2rad(scenes.angle)[..., None, None]
    u = (dx * angle.cos() + dy * angle.sin()) / scenes.radius[..., None, None]
    v = (dy * angle.cos() - dx * angle.sin()) / scenes.radius[..., None, None]
    sd = torch.zeros_like(u)
    for index, name in enumerate(SHAPES):
        mine = scenes.shape == index
        if mine.any():
            sd = sd.masked_scatter(mine[..., None, None].expand_as(sd), _SHAPES[name](u[mine], v[mine]))
    present = torch.arange(sd.shape[1]) < scenes.count[:, None]
    return torch.where(present[..., None, None], sd * scenes.radius[..., None, None], torch.tensor(1e3))


def cover(sd: Tensor, softness: Tensor | float) -> Tensor:
    """Share of a pixel inside an edge at signed distance `sd` that is `softness` pixels wide."""
    return (0.5 - sd / softness).clamp(0, 1)


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None]


def object_colours(scenes: Scenes) -> Float[Tensor, "n objects 3"]:
    """The objects' colours with their tint."""
    return (torch.tensor(list(COLOUR_RGB.values()))[scenes.colour] + scenes.tint).clamp(0.02, 0.99)


def _mix(under: Colours, over: Tensor | tuple[float, ...], alpha: Plane) -> Colours:
    over = torch.tensor(over)[None, :, None, None] if isinstance(over, tuple) else over
    return under + (over - under) * alpha[:, None]


def _background(scenes: Scenes, x: Tensor, y: Tensor, edge: float = 1.2) -> Colours:
    """Sky and ground, or stripes; `light` moves the horizon, the stripes and the brightness a little."""
    sky, ground = (torch.tensor(c)[scenes.background] for c in zip(*SKY_GROUND.values(), strict=True))
    horizon = 42 + 4 * scenes.light
    share = cover(_per_image(horizon) - y, edge).expand(len(scenes), SIDE, SIDE)
    kinds = list(BACKGROUNDS)
    night, stripes = (_per_image(scenes.background == kinds.index(k)) for k in ("night", "stripes"))
    share = torch.where(night, y / SIDE, share)
    wave = torch.sin(TAU * (x + y + 14 * _per_image(scenes.phase[:, 0])) / 14)
    share = torch.where(stripes, cover(wave * 14 / TAU, edge), share)
    image = sky[..., None, None] + (ground - sky)[..., None, None] * share[:, None]
    image = image + 0.04 * scenes.light[:, None, None, None]
    return _mix(image, (0.95, 0.95, 0.8), _dots(scenes, x, y, 8, 0.9) * night)


def _dots(scenes: Scenes, x: Tensor, y: Tensor, n: int, radius: float) -> Plane:
    """Coverage of `n` small dots spread evenly (a golden-ratio lattice shifted by the scene's phase)."""
    i = torch.arange(n)
    px = torch.remainder(scenes.phase[:, 1:2] + i * 0.61803, 1) * SIDE
    py = torch.remainder(scenes.phase[:, 2:3] + (i + 0.5) / n, 1) * SIDE
    far = ((x[:, None] - px[..., None, None]) ** 2 + (y[:, None] - py[..., None, None]) ** 2 + 1e-9).sqrt()
    return cover(far.amin(1) - radius, 1.0)


def _fill(
    image: Colours,
    scenes: Scenes,
    sd: Tensor,
    softness: Tensor | float,
    outline: float,
    shade: float = 0.5,
) -> Colours:
    """Objects with an outline of their own colour, made darker by `shade`."""
    rgb = object_colours(scenes)
    for i in range(sd.shape[1]):
        colour = rgb[:, i, :, None, None]
        image = _mix(image, shade * colour, cover(sd[:, i], softness))
        image = _mix(image, colour, cover(sd[:, i] + outline, softness))
    return image


def _flat(scenes: Scenes) -> Colours:
    x, y = _grid()
    return _fill(_background(scenes, x, y), scenes, distances(scenes, x, y), _per_image(scenes.softness), 1.4)


def _pixel(scenes: Scenes) -> Colours:
    """A sprite: two-pixel cells, hard edges, and around each object a cell of almost black."""
    x, y = _grid(cell=2)
    grown = distances(scenes, x, y) - 1.8
    return _fill(_background(scenes, x, y, edge=0.01), scenes, grown, 0.01, 1.8, shade=0.1)


def _van_gogh(scenes: Scenes) -> Colours:
    """Curved strokes that run around the objects and swirl through the background."""
    x, y = _grid()
    p = scenes.phase[..., None, None]
    bend = torch.sin(TAU * (x / 26 + p[:, 0])) + torch.sin(TAU * (y / 23 + p[:, 1]))
    sd = distances(scenes, x, y) + 0.35 * bend[:, None]
    image = _fill(_background(scenes, x, y, edge=3.0), scenes, sd, _per_image(scenes.softness) + 0.6, 0.6)
    near = sd.amin(1).clamp(max=60)
    stroke = torch.sin(TAU * (near / 5.5 + 0.35 * bend + p[:, 2]))
    broken = 0.65 + 0.35 * torch.sin(TAU * ((x - y) / 17 + 0.4 * bend + p[:, 3]))
    shade = torch.tensor([0.13, 0.12, 0.08])[None, :, None, None]
    return image + shade * (stroke * broken)[:, None]


def _sketch(scenes: Scenes) -> Colours:
    """Pencil on paper: hatched in the object's colour, drawn round in a dark line."""
    x, y = _grid()
    p = scenes.phase[..., None, None]
    paper = torch.tensor(PAPER)[None, :, None, None].expand(len(scenes), 3, SIDE, SIDE)
    strokes = 0.5 + 0.5 * torch.sin(TAU * (0.3 * x + y + 2 * torch.sin(x / 9)) / 4.5 + TAU * p[:, 0])
    image = _mix(paper, _background(scenes, x, y), 0.50 + 0.22 * strokes)
    sd = distances(scenes, x, y) + 0.35 * torch.sin(TAU * (x + 2 * y) / 13 + TAU * p[:, 1])[:, None]
    hatch = 0.5 + 0.5 * torch.sin(TAU * (x - y + 1.2 * torch.sin(y / 6)) / 4.2 + TAU * p[:, 2])
    rgb = object_colours(scenes)
    for i in range(sd.shape[1]):
        inside, colour = cover(sd[:, i], 1.2), rgb[:, i, :, None, None]
        image = _mix(image, torch.tensor(PAPER)[None, :, None, None], inside)
        image = _mix(image, colour, inside * (0.45 + 0.5 * hatch))
        image = _mix(image, 0.3 * colour, 0.9 * cover(sd[:, i].abs() - 0.8, 1.0))
    return image


def _winter(scenes: Scenes) -> Colours:
    """Cold light, a snowdrift along the ground, a cap of snow on every object, and flakes."""
    x, y = _grid()
    image = _mix(_background(scenes, x, y), COLD, torch.full((1, SIDE, SIDE), 0.18))
    drift = 55 + 2.5 * torch.sin(TAU * (x / 40 + _per_image(scenes.phase[:, 0])))
    image = _mix(image, COLD, cover(drift - y, 1.5))
    sd, lower = distances(scenes, x, y), distances(scenes, x, y - 3.4)
    image = _fill(image, scenes, sd, _per_image(scenes.softness), 1.4)
    cap = (cover(sd, 1.4) * (1 - cover(lower, 1.4))).amax(1)
    image = _mix(image, COLD, cap)
    return _mix(image, COLD, 0.9 * _dots(scenes, x, y, 12, 1.1))


_STYLES: dict[str, Callable[[Scenes], Colours]] = {
    "flat": _flat,
    "pixel": _pixel,
    "van_gogh": _van_gogh,
    "sketch": _sketch,
    "winter": _winter,
}
