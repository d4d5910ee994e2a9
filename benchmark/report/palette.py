"""The colours and shapes by which methods are told apart, on figures and on the page alike."""

from collections.abc import Iterable, Sequence
from colorsys import hls_to_rgb, rgb_to_hls
from itertools import count
from typing import Final
from zlib import crc32

from benchmark.leaderboard.names import without_knee

# After Okabe and Ito, without their yellow, which nobody sees on white, and in an order in which neighbours
# differ by 20 in lightness L*; under simulated protanopia and deuteranopia any two differ by 18 in CIELAB.
COLOURS: Final = ("#0072B2", "#E69F00", "#117755", "#6FC1EE", "#D55E00", "#3A3A3A", "#CC79A7", "#552277")
# Shapes tell the methods apart without any colour.
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "p")
FAMILIAR: Final = (
    "sft", "f_dpo reverse_kl", "f_dpo jensen_shannon", "rpo reverse_kl", "f_dpo pearson_chi2",
    "f_dpo forward_kl", "f_dpo alpha(a=0.5)", "f_dpo chi2_kl",
)  # fmt: skip
"""Methods in the order of their colours: on every picture the same, whatever stands beside them."""

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


def numbers_of(methods: Iterable[str], further: Iterable[str] = ()) -> dict[str, int]:
    """The number of each method for :func:`look`, which does not depend on the order of the methods.

    A familiar method has its own. Any other begins at one made from its name, and where that is taken goes on
    to the next free colour; no two of the first eight share one.

    Args:
        methods: Such as ``f_dpo reverse_kl``.
        further: Others on the same picture, which take what is left.

    Example:
        >>> numbers_of(["f_dpo jensen_shannon", "sft"]), numbers_of(["f_dpo jensen_shannon"])
        ({'f_dpo jensen_shannon': 2, 'sft': 0}, {'f_dpo jensen_shannon': 2})
    """
    found: dict[str, int] = {}
    for group in (methods, further):
        for method in sorted(set(group).difference(found), key=lambda name: (name not in FAMILIAR, name)):
            own = FAMILIAR.index(method) if method in FAMILIAR else crc32(method.encode(errors="replace"))
            found[method] = next(n for n in _from(own % len(COLOURS)) if n not in found.values())
    return found


def _from(first: int) -> Iterable[int]:
    """All numbers, each colour once before any comes again."""
    colours = len(COLOURS)
    return (colours * row + (first + step) % colours for row in count() for step in range(colours))


def numbers_of_lines(divergences: Iterable[str], methods: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """The number of each divergence's optimum, and whether a method was trained under that divergence.

    Args:
        divergences: Without their knees.
        methods: Such as ``f_dpo reverse_kl``; an optimum has the number of the first under its divergence.

    Example:
        >>> numbers_of_lines(["reverse_kl", "forward_kl"], ["f_dpo reverse_kl"])
        {'reverse_kl': (1, True), 'forward_kl': (5, False)}
    """
    like: dict[str, str] = {}
    for method in methods:
        like.setdefault(without_knee(method.partition(" ")[2]), method)
    names = {divergence: like.get(divergence, f"f_dpo {divergence}") for divergence in divergences}
    numbers = numbers_of(methods, names.values())
    return {divergence: (numbers[name], divergence in like) for divergence, name in names.items()}


def looks_of(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method, as of :func:`numbers_of`."""
    return {method: look(number) for method, number in numbers_of(methods).items()}


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
