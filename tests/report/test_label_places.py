"""Labels of a figure: their leaders do not cross where there is room for them."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from benchmark.report.figures.label_places import Label, Room, _cross


@pytest.mark.parametrize(
    ("ends", "crosses"), [((2.0, 2.0), True), ((0.4, 0.4), False), ((-2.0, 2.0), False), ((3.0, -1.5), False)]
)
def test_two_ways_cross_where_each_has_the_other_ones_ends_on_both_sides(
    ends: tuple[float, float], crosses: bool
) -> None:
    start, other = np.zeros(2), (np.array([0.0, 2.0]), np.array([2.0, 0.0]))
    assert bool(_cross(start, np.array(ends), *other)) is crosses


@pytest.mark.parametrize("seed", range(8))
def test_leaders_of_a_cluster_do_not_cross(seed: int) -> None:
    places = np.random.default_rng(seed).uniform(0.4, 0.6, (14, 2))
    figure = Figure(figsize=(3.4, 3.0), dpi=100)
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    room = Room(axes)
    room.keep_free([(x, y) for x, y in places], 9)
    assert room.write([Label(x, y, f"method {i}", "black", size=5.0) for i, (x, y) in enumerate(places)])
    figure.draw_without_rendering()
    leaders = [
        (axes.transData.transform(np.array(note.xy)), _centre(note))
        for note in axes.texts
        if isinstance(note, Annotation) and note.arrow_patch is not None
    ]
    assert len(leaders) > 2, "a cluster whose labels stand off it"
    for (a, b), (c, d) in itertools.combinations(leaders, 2):
        assert not _cross(a, b, c, d)


def _centre(note: Annotation) -> np.ndarray:
    """Middle of the letters, in pixels."""
    box = Text.get_window_extent(note)
    return np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
