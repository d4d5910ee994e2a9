"""One look for all figures: two-column papers, grey print, colour-blind readers."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from benchmark.core.errors import UserError
from benchmark.core.store import atomic_file

COLUMN_INCHES = 3.35
PAGE_INCHES = 6.9
FORMATS = (".png", ".pdf", ".svg")

INK = "#222222"
MUTED = "#6b6b6b"
RULE = "#c9c9c9"

# Okabe and Ito's colours, ordered so that neighbours differ in lightness too; no yellow on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#7A4F9A", "#555555")
# Shapes tell the methods apart without any colour.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    # It comes with matplotlib, so a figure looks the same on every machine.
    "font.sans-serif": ["DejaVu Sans"],
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
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "fbench",
}


def dark(colour: str) -> str:
    """The colour, dark enough for small letters on white.

    Example:
        >>> dark("#ffffff")
        '#999999'
    """
    red, green, blue = to_rgb(colour)
    return to_hex((0.6 * red, 0.6 * green, 0.6 * blue))


@contextmanager
def figure_style() -> Iterator[None]:
    """The settings, for the time of one figure; a caller's own settings come back afterwards."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        # A prompt may be in any script; a box in place of a letter says as much as a warning would.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        yield


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
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"cannot write a figure as {path.name}", allowed=", ".join(FORMATS))
    stamps: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None},
        ".svg": {"Date": None},
    }
    with atomic_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        figure.savefig(temporary, dpi=dpi, format=ending[1:], metadata=stamps[ending], facecolor="white")
    return path
