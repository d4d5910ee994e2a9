"""One look for all figures: two-column papers, grey print, colour-blind readers."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter

from benchmark.core.errors import UserError
from benchmark.core.store import atomic_file

_Arguments = ParamSpec("_Arguments")

COLUMN_INCHES = 3.35
PAGE_INCHES = 6.9
FORMATS = (".png", ".pdf", ".svg")

INK = "#222222"
MUTED = "#6b6b6b"
RULE = "#c9c9c9"

FRONTIER_DASHES = ((1, 0), (5, 1.5), (5, 1.5, 1, 1.5), (1, 1.2))
"""Of lines that need no training and are no method's: grey, told apart by these."""

SMALLEST = 6.0
"""Points: no text of a figure is smaller in print."""
LABEL = 6.5
"""Points, of labels, legends and ticks of small panels."""
_FONT = "DejaVu Sans"

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    # It comes with matplotlib, so a figure looks the same on every machine.
    "font.sans-serif": [_FONT],
    "font.size": 7.5,
    "axes.labelsize": 8,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "legend.frameon": False,
    # A name may have a dollar in it; texts of our own that are formulas say so.
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "fbench",
}


def shown(name: str, letters: int = 44) -> str:
    """A name as a figure can hold it: without control characters, its middle cut out if it is too long.

    Example:
        >>> shown("a" * 30 + "b" * 30, 11)
        'aaaaa…bbbbb'
    """
    # Control characters and lone surrogates make an SVG that no reader opens.
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+", "\N{REPLACEMENT CHARACTER}", name)
    if len(name) <= letters:
        return name
    half = (letters - 1) // 2
    return f"{name[: letters - 1 - half]}…{name[-half:]}"


def wrapped(text: str, inches: float, size: float, indent: str = "") -> str:
    """A text in lines that fit, by the widths of its letters; only a word that is too long is torn.

    Args:
        text: Words with spaces between them.
        inches: Room.
        size: Of the letters, in points.
        indent: Before every line but the first.
    """
    lines = [""]
    for word in text.split(" "):
        lead = " " if lines[-1].strip() else ""
        if text_inches(lines[-1] + lead + word, size) <= inches:
            lines[-1] += lead + word
            continue
        if lead:
            lines.append(indent)
        for letter in word:
            if text_inches(lines[-1] + letter, size) > inches and lines[-1].strip():
                lines.append(indent)
            lines[-1] += letter
    return "\n".join(lines)


def text_inches(text: str, size: float) -> float:
    """How wide a text is in letters of so many points, but for kerning."""
    return sum(map(_advance, text)) * size / 72


@cache
def _advance(letter: str) -> float:
    """The width of a letter, in parts of its size."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        # Between two others, as a space alone has no width.
        width, bare = (
            text_to_path.get_text_width_height_descent(text, FontProperties(family=_FONT, size=100), False)[0]
            for text in (f"|{letter}|", "||")
        )
    return float(width - bare) / 100


def plain_ticks() -> FuncFormatter:
    """Ticks of a logarithmic axis as plain numbers: an exponent would be too small to read."""
    return FuncFormatter(lambda value, _: f"{value:g}")


def footnote(text: str, signature: str, width: float) -> str:
    """The lines under a figure: what its marks mean, and what makes its numbers comparable.

    Args:
        text: What the marks mean.
        signature: Of the numbers that are shown.
        width: Of the figure, in inches.

    Returns:
        Lines that fit the width.
    """
    parts = (text, signature.replace("|", " | "))
    return "\n".join(wrapped(shown(part, 4000), 0.95 * width, SMALLEST) for part in parts if part)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """As many as fit beside each other in so many inches, with a third of an inch for each sample."""
    widest = max((text_inches(line, LABEL) for label in labels for line in label.split("\n")), default=0.0)
    return max(1, min(len(labels), int(0.98 * width / (widest + 0.36))))


@contextmanager
def figure_style() -> Iterator[None]:
    """The settings, for the time of one figure; a caller's own settings come back afterwards."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        # A prompt may be in any script; a box in place of a letter says as much as a warning would.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        yield


def check_ending(path: Path) -> str:
    """The format that a figure's name asks for, such as ``.png``.

    Raises:
        UserError: For another one.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"cannot write a figure as {path.name}", allowed=", ".join(FORMATS))
    return ending


def save(figure: Figure, path: Path, dpi: int = 300) -> Path:
    """Writes a figure, whole or not at all, and the same bytes every time.

    Args:
        figure: What to write.
        path: Where to; the ending chooses the format.
        dpi: Dots an inch of a PNG.

    Returns:
        The path.

    Raises:
        UserError: For another format.
    """
    ending = check_ending(path)
    stamps: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None},
        ".svg": {"Date": None},
    }
    with atomic_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        figure.savefig(temporary, dpi=dpi, format=ending[1:], metadata=stamps[ending], facecolor="white")
    return path


def writer_of(
    draw: Callable[_Arguments, Figure], dpi: int = 300
) -> Callable[Concatenate[Path, _Arguments], Path]:
    """The function that writes what another one draws: to a path, then as the other one's arguments say.

    Args:
        draw: Draws in the settings that are in force.
        dpi: Dots an inch of a PNG.
    """

    @wraps(draw)
    def write(path: Path, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Path:
        with figure_style():
            return save(draw(*args, **kwargs), path, dpi)

    return write
