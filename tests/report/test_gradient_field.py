"""Laws of the gradient-field figure: what is drawn is what was given, on one scale for all."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.quiver import Quiver
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.report.figures import gradient_field
from benchmark.report.figures.gradient_field import Cloud, GradientField, draw_gradient_field
from benchmark.report.figures.style import COLUMN_INCHES, PAGE_INCHES

POINTS = np.linspace(-3, 3, 8)


def make(title: str, size: float = 1.0, turn: float = 0.0) -> GradientField:
    """A field whose norm grows with the winner's coordinate, in one direction."""
    norm = size * 10 ** np.broadcast_to(POINTS[None, :] / 10, (8, 8))
    return GradientField(title, POINTS, POINTS, -norm * np.cos(turn), norm * np.sin(turn))


def quivers(figure: Figure) -> list[Quiver]:
    return [c for axes in figure.axes for c in axes.collections if isinstance(c, Quiver)]


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_it_is_written_and_the_same_every_time(tmp_path: Path, ending: str) -> None:
    fields = [make("one"), make("two", 3.0, 0.4)]
    path = gradient_field(tmp_path / f"a{ending}", fields)
    assert path.read_bytes().startswith({".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[ending])
    assert gradient_field(tmp_path / f"b{ending}", fields).read_bytes() == path.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
    if ending == ".png":
        assert np.asarray(Image.open(path).convert("L")).std() > 5


def test_arrows_point_downhill_and_their_colour_is_the_norm() -> None:
    fields = [make("one"), make("two", 3.0, 0.4)]
    for field, arrows in zip(fields, quivers(draw_gradient_field(fields)), strict=True):
        u, v = np.asarray(arrows.U), np.asarray(arrows.V)
        np.testing.assert_allclose(u.ravel(), (-field.d_winner / field.magnitude).ravel())
        np.testing.assert_allclose(v.ravel(), (-field.d_loser / field.magnitude).ravel())
        np.testing.assert_allclose(np.asarray(arrows.get_array()).ravel(), field.magnitude.ravel())
        offsets = np.asarray(arrows.get_offsets())
        assert np.unique(offsets[:, 0]).tolist() == pytest.approx(POINTS.tolist())


def test_all_fields_share_one_colour_scale_and_one_pair_of_axes() -> None:
    figure = draw_gradient_field([make("one"), make("two", 3.0), make("three", 0.5)])
    first, *others = quivers(figure)
    assert all(other.norm is first.norm for other in others)
    assert (first.norm.vmin, first.norm.vmax) == pytest.approx((0.5 * 10**-0.3, 3 * 10**0.3))
    planes = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in planes] == ["one", "two", "three"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in planes}) == 1


def test_a_field_of_great_gradients_does_not_take_the_colours_from_the_others() -> None:
    steep = GradientField("steep", POINTS, POINTS, *np.full((2, 8, 8), 1e6))
    (arrows, *_) = quivers(draw_gradient_field([make("one"), make("two"), steep]))
    # The grid's point nearest the reference, where the norm is about 1.
    assert arrows.norm.vmax == pytest.approx(100, rel=0.15)
    assert arrows.norm.vmin == pytest.approx(10**-0.3)


def test_the_line_of_equal_margin_and_the_reference_are_there() -> None:
    for axes, reference in (("log-ratio", [0.0, 0.0]), ("ratio", [1.0, 1.0])):
        (plane, *_) = draw_gradient_field([make("one")], axes=axes).axes
        diagonal, star = plane.lines
        assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
        assert diagonal.is_dashed()
        assert np.asarray(star.get_xydata()).tolist() == [reference]


def test_a_cloud_is_drawn_whole_and_what_lies_outside_is_counted() -> None:
    cloud = Cloud("runs/js, step 20", np.array([0.0, 1.0, -99.0]), np.array([0.5, -1.0, 0.0]))
    figure = draw_gradient_field([make("one"), make("two")], cloud=cloud, note="β = 0.3")
    for plane in figure.axes[:2]:
        (dots,) = [line for line in plane.lines if isinstance(line, Line2D) and line.get_marker() == "o"]
        assert np.asarray(dots.get_xdata()).tolist() == [0.0, 1.0, -99.0]
        assert np.asarray(dots.get_ydata()).tolist() == [0.5, -1.0, 0.0]
        assert plane.get_xlim()[0] > -4
    text = " ".join(figure.get_supxlabel().split())
    assert "β = 0.3" in text
    assert "3 held-out draws of runs/js, step 20, 1 of them outside" in text


def test_the_axes_say_what_they_are_and_nats_where_they_are_nats(tmp_path: Path) -> None:
    text = gradient_field(tmp_path / "a.svg", [make("one")]).read_text()
    assert text.count("[nats]") == 2
    assert "winner" in text
    assert "loser" in text
    text = gradient_field(tmp_path / "b.svg", [make("one")], axes="ratio").read_text()
    assert "density ratio of the" in text
    assert "nats" not in text


def test_one_field_fits_a_column_and_several_a_page() -> None:
    assert draw_gradient_field([make("one")]).get_figwidth() == COLUMN_INCHES
    figure = draw_gradient_field([make(str(i)) for i in range(5)])
    assert figure.get_figwidth() == PAGE_INCHES
    assert [axes.axison for axes in figure.axes[:6]] == [True] * 5 + [False]


def test_nothing_to_draw_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one divergence"):
        gradient_field(tmp_path / "a.png", [])
    flat = GradientField("flat", POINTS, POINTS, *np.zeros((2, 8, 8)))
    with pytest.raises(UserError, match="nowhere"):
        gradient_field(tmp_path / "a.png", [flat])
    with pytest.raises(UserError, match=r"\.png"):
        gradient_field(tmp_path / "a.gif", [make("one")])
