"""Formulas of the docs site are drawn when it is built; `make docs` draws all of them."""

import re

import pytest

from tools.docs.formulas import drawn, on_page_content


def test_formulas_in_a_line_and_by_themselves_are_drawn_and_the_rest_is_left() -> None:
    inline = r'<span class="arithmatex">\(n \ge 2\)</span>'
    block = '<div class="arithmatex">\\[\nu = \\tfrac{p}{q} &lt; 1\n\\]</div>'
    found = on_page_content(f"<p>a {inline} b</p>{block}<code>$x$</code>")
    parts = re.split(r"<svg.*?</svg>", found, flags=re.DOTALL)
    assert parts == ["<p>a ", ' b</p><div style="text-align:center">', "</div><code>$x$</code>"]
    assert re.findall(r"<title>\s*(.*?)\s*</title>", found) == [r"n \ge 2", r"u = \tfrac{p}{q} &lt; 1"]


def test_a_formula_has_the_colour_and_the_size_of_the_text() -> None:
    svg = drawn(r"\frac{r - \lambda}{\beta}")
    assert "fill:currentColor" in svg
    assert "#ffffff" not in svg
    width, below = (float(re.findall(rf"{side}([\d.]+)em", svg)[0]) for side in ("width:", "align:-"))
    assert 1 < width < 4
    assert 0 < below < 1
    assert svg == drawn(r"\frac{r - \lambda}{\beta}")


def test_one_that_cannot_be_drawn_stops_the_build() -> None:
    with pytest.raises(ValueError, match="frac"):
        drawn(r"\frac1n")
