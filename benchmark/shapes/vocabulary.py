"""The nouns and adjectives of the world, with the ordinary English that may stand for each.

The first word of every entry is its canonical name; the others are synonyms a caption may use instead. No
synonym belongs to two entries of one kind, so a caption can be read back (`grammar.parse`).
"""

from typing import Final, TypeAlias

Lexicon: TypeAlias = dict[str, tuple[str, ...]]

SHAPES: Final[Lexicon] = {
    "circle": ("circle", "disc", "round thing"),
    "square": ("square", "box", "block"),
    "triangle": ("triangle", "three-sided shape", "wedge"),
    "star": ("star", "five-pointed star", "starlet"),
    "heart": ("heart", "love heart", "valentine"),
    "cross": ("cross", "plus sign", "plus"),
}
"""Singular nouns; plurals are formed by `grammar.plural`."""

COLOURS: Final[Lexicon] = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange", "tangerine"),
    "yellow": ("yellow", "golden", "lemon"),
    "green": ("green", "emerald"),
    "cyan": ("cyan", "turquoise", "aqua"),
    "blue": ("blue", "navy", "cobalt"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rosy"),
}

COLOUR_RGB: Final[dict[str, tuple[float, float, float]]] = {
    "red": (0.86, 0.13, 0.15),
    "orange": (0.97, 0.52, 0.08),
    "yellow": (0.98, 0.86, 0.16),
    "green": (0.14, 0.60, 0.24),
    "cyan": (0.16, 0.78, 0.80),
    "blue": (0.16, 0.28, 0.85),
    "purple": (0.52, 0.18, 0.68),
    "pink": (0.97, 0.52, 0.74),
}

SIZES: Final[Lexicon] = {
    "small": ("small", "tiny", "little"),
    "large": ("large", "big", "huge"),
}

RELATIONS: Final[Lexicon] = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}

BACKGROUNDS: Final[Lexicon] = {
    "white": ("on a white background", "on plain white", "with an empty white backdrop"),
    "night": ("at night", "under a night sky", "in the dark"),
    "meadow": ("in a meadow", "on green grass", "in a grassy field"),
    "desert": ("in the desert", "on sand", "among dunes"),
    "stripes": ("on a striped background", "with stripes behind", "against striped wallpaper"),
}

STYLES: Final[Lexicon] = {
    "flat": ("flat design", "a flat illustration", "clean vector art"),
    "pixel": ("pixel art", "an 8-bit sprite", "blocky pixels"),
    "van_gogh": ("in the style of van gogh", "swirling oil strokes", "a van gogh painting"),
    "sketch": ("a pencil sketch", "a sketch", "coloured pencil on paper"),
    "winter": ("winter", "covered in snow", "a snowy winter scene"),
}

ANYTHING: Final = ("shape", "thing", "figure")
"""Nouns that leave the shape open."""


def names(lexicon: Lexicon) -> tuple[str, ...]:
    """The canonical names of a lexicon, in the order that class indices follow."""
    return tuple(lexicon)
