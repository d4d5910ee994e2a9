"""What a scene promises holds in every scene, and the renderer draws what the scene says."""

import pytest
import torch

from benchmark.shapes.readings import reading_of
from benchmark.shapes.renderer import cover, distances, render, to_uint8
from benchmark.shapes.scenes import MARGIN, RADIUS, RELATION_GAP, SIDE, Scenes, Wanted, sample_scenes
from benchmark.shapes.vocabulary import SHAPES, STYLES


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return sample_scenes(Wanted.anything(600), torch.Generator().manual_seed(0))


def test_objects_are_inside_apart_and_clear_about_their_relation(scenes: Scenes) -> None:
    inside = (scenes.centre - scenes.radius[..., None] >= MARGIN - 1e-4) & (
        scenes.centre + scenes.radius[..., None] <= SIDE - MARGIN + 1e-4
    )
    pair = scenes.count == 2
    assert inside[:, 0].all()
    assert inside[pair].all()
    dx, dy = (scenes.centre[pair, 1] - scenes.centre[pair, 0]).unbind(-1)
    along = torch.stack([dx, -dx, dy, -dy], -1).gather(-1, scenes.relation[pair][:, None]).squeeze(-1)
    across = torch.where(scenes.relation[pair] < 2, dy, dx).abs()
    assert (along >= across + RELATION_GAP - 1e-4).all()
    assert (torch.hypot(dx, dy) >= scenes.radius[pair].sum(-1) + MARGIN - 1e-4).all()


def test_sizes_do_not_overlap_and_are_large_enough(scenes: Scenes) -> None:
    (small_low, small_high), (large_low, large_high) = RADIUS
    assert small_high < large_low
    assert 2 * small_low >= 14
    assert scenes.radius[scenes.size == 0].max() <= small_high
    assert scenes.radius[scenes.size == 1].min() >= large_low
    assert scenes.radius.max() <= large_high


def test_wishes_are_granted() -> None:
    want = Wanted.anything(50)
    want.count[:], want.shape[:, 0], want.style[:] = 2, 3, 1
    got = sample_scenes(want, torch.Generator().manual_seed(1))
    assert (got.count == 2).all()
    assert (got.shape[:, 0] == 3).all()
    assert (got.style == 1).all()
    assert len(got.colour.unique()) > 4


def test_renders_are_reproducible_finite_and_in_range(scenes: Scenes) -> None:
    images = render(scenes[:100])
    assert images.shape == (100, 3, SIDE, SIDE)
    assert images.isfinite().all()
    assert images.min() > -0.3
    assert images.max() < 1.3
    assert torch.equal(images, render(scenes[:100]))
    # An image does not depend on its neighbours.
    assert torch.allclose(images[40:50], render(scenes[40:50]), atol=1e-6)
    assert to_uint8(images).shape == (100, SIDE, SIDE, 3)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_a_shape_fills_its_box_and_no_more(shape: int) -> None:
    want = Wanted.anything(1)
    want.count[:], want.shape[:], want.size[:], want.style[:] = 1, shape, 1, 0
    one = sample_scenes(want, torch.Generator().manual_seed(2))
    one = one.with_(angle=torch.zeros(1, 2))
    axis = torch.arange(SIDE) + 0.5
    x, y = axis[None, None, :].expand(1, SIDE, SIDE), axis[None, :, None].expand(1, SIDE, SIDE)
    sd = distances(one, x, y)[0, 0]
    mask = cover(sd, 1.0) > 0.5
    far = torch.maximum((x[0] - one.centre[0, 0, 0]).abs(), (y[0] - one.centre[0, 0, 1]).abs())
    radius = float(one.radius[0, 0])
    assert far[mask].max() <= 1.12 * radius + 1
    assert 0.25 < float(mask.sum()) / (2 * radius) ** 2 < 1


def test_styles_differ_in_more_than_colour() -> None:
    want = Wanted.anything(len(STYLES))
    want.style[:] = torch.arange(len(STYLES))
    for name in ("count", "shape", "colour", "size", "background"):
        getattr(want, name)[:] = 1
    scenes = sample_scenes(want, torch.Generator().manual_seed(3))
    scenes = scenes.with_(
        **{
            k: getattr(scenes, k)[:1].expand_as(getattr(scenes, k))
            for k in ("centre", "radius", "phase", "light", "tint")
        }
    )
    grey = render(scenes).mean(1)
    detail = grey.diff(dim=1)
    for i in range(len(STYLES)):
        for j in range(i):
            assert (detail[i] - detail[j]).abs().mean() > 0.003, (i, j)


def test_reading_order_does_not_depend_on_the_order_of_the_objects(scenes: Scenes) -> None:
    flipped = scenes.with_(
        **{k: getattr(scenes, k).flip(1) for k in ("shape", "colour", "size", "centre", "radius", "angle")},
        relation=torch.where(scenes.relation >= 0, scenes.relation ^ 1, -1),
    )
    pair = scenes.count == 2
    agree = reading_of(scenes[pair]).agrees(reading_of(flipped[pair]))
    assert all(v.all() for v in agree.values())
    assert torch.equal(reading_of(scenes[pair]).centre, reading_of(flipped[pair]).centre)
