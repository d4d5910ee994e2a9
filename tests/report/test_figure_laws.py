"""Laws of all figures: three formats, letters one can read, colours everyone can tell apart, safe names."""

import importlib.util
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.report.figures.style import (
    COLUMN_INCHES,
    FORMATS,
    PAGE_INCHES,
    SMALLEST,
    figure_style,
    save,
    shown,
    wrapped,
)
from benchmark.report.palette import COLOURS, FAMILIAR, MARKERS, look, numbers_of

_spec = importlib.util.spec_from_file_location(
    "figure_gallery", Path(__file__).with_name("figure_gallery.py")
)
assert _spec is not None
assert _spec.loader is not None
gallery = importlib.util.module_from_spec(_spec)
sys.modules["figure_gallery"] = gallery
_spec.loader.exec_module(gallery)

HOSTILE = " <script>alert(1)</script> & \"q\" 'a' $\\frac{1}$ $x ]]> \x1b\x00" + "long" * 50


@pytest.fixture(params=gallery.FIGURES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def style() -> Iterator[None]:
    with figure_style():
        yield


def texts(figure: Figure) -> list[Text]:
    """What is drawn; ticks beyond the axes are not."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        found += [*axes.get_xticklabels(), *axes.get_yticklabels()]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def outside(figure: Figure) -> list[str]:
    """Texts that are cut off at the figure's edge."""
    figure.draw_without_rendering()
    frame = figure.bbox.padded(1.5)
    labels = {label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure) if text not in labels]
    return [
        text for text, box in boxes
        if box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    ]  # fmt: skip


def test_every_format_is_written_with_letters_and_not_outlines(
    name: str, tmp_path: Path, style: None
) -> None:
    figure = gallery.FIGURES[name]("")
    for ending in FORMATS:
        path = save(figure, tmp_path / f"a{ending}", dpi=60)
        content = path.read_bytes()
        assert content.startswith({".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[ending])
        if ending == ".pdf":
            # TrueType fonts inside: publishers refuse Type 3.
            assert b"/FontFile2" in content
            assert b"/Type3" not in content
        if ending == ".svg":
            assert content.count(b"<text") > 3


def test_letters_are_large_enough_and_whole(name: str, style: None) -> None:
    figure = gallery.FIGURES[name]("")
    assert figure.get_figwidth() in (COLUMN_INCHES, PAGE_INCHES)
    assert min(float(text.get_fontsize()) for text in texts(figure)) >= SMALLEST
    assert outside(figure) == []


def test_names_cannot_break_a_figure(name: str, tmp_path: Path, style: None) -> None:
    figure = gallery.FIGURES[name](HOSTILE)
    assert outside(figure) == []
    assert min(float(text.get_fontsize()) for text in texts(figure)) >= SMALLEST
    for ending in FORMATS:
        path = save(figure, tmp_path / f"a{ending}", dpi=60)
        if ending == ".svg":
            tree = ET.parse(path)
            elements = {element.tag.rpartition("}")[2] for element in tree.iter()}
            assert elements & {"text"}
            assert not elements & {"script", "foreignObject", "a"}
            assert not any(key.startswith("on") for element in tree.iter() for key in element.attrib)
            words = "".join(tree.getroot().itertext())
            assert "long…" in words or "…long" in words or "longlong" in words
            assert " <s" in words


def test_only_our_own_formulas_are_read_as_formulas(tmp_path: Path, style: None) -> None:
    figure = gallery.FIGURES["trade-off of few"](" $x$")
    save(figure, tmp_path / "a.svg")
    assert "$x$" in (tmp_path / "a.svg").read_text()


# Machado, Oliveira & Fernandes, A physiologically-based model for simulation of color vision deficiency,
# IEEE TVCG 15 (2009), 1291-1298: severity 1.0, on linear RGB.
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


def lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB under D65."""
    xyz = linear @ np.array(TO_XYZ).T / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def linear_palette() -> np.ndarray:
    srgb = np.array([to_rgb(colour) for colour in COLOURS])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def test_in_grey_neighbouring_methods_differ_by_20_in_lightness() -> None:
    lightness = lab(linear_palette())[:, 0]
    assert np.abs(lightness - np.roll(lightness, 1)).min() >= 20
    assert lightness.max() < 76  # seen on white


@pytest.mark.parametrize(
    ("sight", "bound"),
    [(np.eye(3), 30), (PROTANOPIA, 18), (DEUTERANOPIA, 18)],
    ids=["usual", "protan", "deutan"],
)
def test_any_two_colours_stay_apart_for_the_colour_blind(sight: np.ndarray, bound: float) -> None:
    """CIE76 distance; 2.3 is just noticeable side by side."""
    seen = lab(np.clip(linear_palette() @ np.array(sight).T, 0, 1))
    apart = [float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)]
    assert min(apart) >= bound


def test_colour_and_shape_together_name_a_method() -> None:
    assert len({look(i) for i in range(64)}) == 64
    assert len(set(MARKERS)) == len(COLOURS)
    for i in range(63):
        assert look(i)[0] != look(i + 1)[0]
        assert look(i)[1] != look(i + 1)[1]


def test_a_method_has_one_look_whatever_stands_beside_it() -> None:
    unknown = [f"f_dpo expr: u*{i}" for i in range(12)]
    for methods in itertools.permutations(FAMILIAR[:4]):
        assert numbers_of(methods) == {name: FAMILIAR.index(name) for name in FAMILIAR[:4]}
    for name in unknown:
        # Alone, beside familiar ones in any order, and drawn after them.
        assert numbers_of([*FAMILIAR, name])[FAMILIAR[2]] == 2
        assert numbers_of([FAMILIAR[1], name]) == numbers_of([name, FAMILIAR[1]])
        assert numbers_of([FAMILIAR[1]], [name]) == numbers_of([FAMILIAR[1], name])
    many = numbers_of([*FAMILIAR, *unknown])
    assert len({look(number) for number in many.values()}) == len(many)
    assert len({look(n)[0] for n in numbers_of(unknown[:8]).values()}) == len(COLOURS) == len(FAMILIAR)


def test_long_names_keep_both_ends_and_control_characters_go() -> None:
    assert shown("beta 0.3, " + "x" * 200 + " seed 7", 20) == "beta 0.3, …xx seed 7"
    assert shown("a\x00b\ud800c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


def test_lines_fit_and_nothing_is_lost() -> None:
    text = "one two three " + "x" * 200 + " four"
    lines = wrapped(text, 1.0, 6.0).split("\n")
    assert max(len(line) for line in lines) < 40
    assert re.sub(r"\s", "", "".join(lines)) == text.replace(" ", "")
