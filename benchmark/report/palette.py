"""The colours and shapes by which methods are told apart, on figures and on the page alike."""

from colorsys import hls_to_rgb, rgb_to_hls
from typing import Final

# After Okabe and Ito, without their yellow, which nobody sees on white, and in an order in which neighbours
# differ by 20 in lightness L*; under simulated protanopia and deuteranopia any two differ by 18 in CIELAB.
COLOURS: Final = ("#0072B2", "#E69F00", "#117755", "#6FC1EE", "#D55E00", "#3A3A3A", "#CC79A7", "#552277")
# Shapes tell the methods apart without any colour.
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "p")

_DARK: Final = 0.6
_LEAST_LUMINANCE: Final = 0.14
"""Of a colour on a dark ground: 3 to 1 against it, as WCAG asks of what a picture needs to be understood."""
_STEP: Final = 0.02


def look(index: int) -> tuple[str, str]:
    """Colour and marker of the method of this number; no two of the first 64 share both.

    Example:
        >>> look(0), look(8)
        (('#0072B2', 'o'), ('#0072B2', 's'))
    """
    colours = len(COLOURS)
    return COLOURS[index % colours], MARKERS[(index + index // colours) % len(MARKERS)]


def dark(colour: str) -> str:
    """The colour, dark enough for edges and small letters on white.

    Example:
        >>> dark("#ffffff")
        '#999999'
    """
    return _hex(*(_DARK * part for part in _parts(colour)))


def on_dark(colour: str) -> str:
    """The colour, or where it is too dark for a dark ground, the same hue just light enough.

    Example:
        >>> on_dark("#E69F00")
        '#e69f00'
        >>> on_dark("#3A3A3A")
        '#6d6d6d'
    """
    hue, lightness, saturation = rgb_to_hls(*_parts(colour))
    while _luminance(*hls_to_rgb(hue, lightness, saturation)) < _LEAST_LUMINANCE:
        lightness += _STEP
    return _hex(*hls_to_rgb(hue, lightness, saturation))


def _luminance(*parts: float) -> float:
    """Relative luminance, as WCAG defines it."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _parts(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _hex(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))
