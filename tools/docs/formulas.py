"""A hook of mkdocs: the formulas of the docs site are drawn when it is built, so that it needs no script."""

import html
import io
import re
from typing import Any, Final

_SIZE: Final = 10.0
"""Of the letters, in points; what is drawn is scaled to the text around it."""
_KNOWN: Final = {"tfrac": r"\frac", "ge": r"\geq", "le": r"\leq"}
"""Names that matplotlib does not know, by those that it does."""
_SYNONYMS: Final = re.compile(rf"\\({'|'.join(_KNOWN)})(?![a-z])")
_FORMULA: Final = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """A page's HTML with a drawing for each formula that arithmatex has marked."""
    return _FORMULA.sub(lambda found: drawn(html.unescape(found[2]), block=found[1] == "div"), content)


def drawn(latex: str, *, block: bool = False) -> str:
    r"""A formula as SVG in HTML, in the colour of the text.

    Args:
        latex: As it stands on the page, without dollars; matplotlib's mathtext, so `\frac{1}{n}` with braces.
        block: Whether it has a line of its own.

    Raises:
        ValueError: if it cannot be drawn.
    """
    from matplotlib import rc_context
    from matplotlib.mathtext import math_to_image

    text = _SYNONYMS.sub(lambda found: _KNOWN[found[1]], " ".join(latex.split()))
    buffer = io.StringIO()
    with rc_context(
        {"font.size": _SIZE, "mathtext.fontset": "stix", "svg.hashsalt": latex, "savefig.facecolor": "none"}
    ):
        depth = math_to_image(f"${text}$", buffer, format="svg", dpi=72)
    svg = buffer.getvalue()
    # Its style sheet would be that of the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg[svg.index("<svg") :].strip(), flags=re.DOTALL)
    (across,), (up,) = (re.findall(rf' {side}="([\d.]+)pt"', svg) for side in ("width", "height"))
    width, height, below = (float(points) / _SIZE for points in (across, up, depth))
    style = f"width:{width:.2f}em;height:{height:.2f}em;vertical-align:-{below:.2f}em;fill:currentColor"
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'style="{style}" role="img"', svg, count=1)
    title = f"<title>{html.escape(latex)}</title>"
    svg = re.sub(r"<metadata>.*?</metadata>", lambda _: title, svg, flags=re.DOTALL)
    return f'<div style="text-align:center">{svg}</div>' if block else svg
