"""How many digits a number deserves: as many as its interval can carry."""

import math
from collections.abc import Iterable

from benchmark.core.records import LeaderboardCell

SIGNIFICANT = 0.05
"""Holm-adjusted p below which a difference from the reference is marked."""


def half_width(cell: LeaderboardCell) -> float | None:
    """Half the length of the mean's interval; None where there is no interval."""
    if cell.lo is None or cell.hi is None:
        return None
    return (cell.hi - cell.lo) / 2


def decimals(cells: Iterable[LeaderboardCell]) -> int:
    """Decimals for a column: two digits of its typical half-width, or three of its largest number.

    Example:
        >>> decimals([LeaderboardCell("hps", mean=24.5, lo=24.3, hi=24.7)])
        2
    """
    known = list(cells)
    widths = sorted(width for cell in known if (width := half_width(cell)))
    largest = max((abs(cell.mean) for cell in known if cell.mean), default=1.0)
    if widths:
        places = 1 - math.floor(math.log10(widths[len(widths) // 2]))
    else:
        places = 2 - math.floor(math.log10(largest))
    return min(max(places, 0), 4)


def fixed(value: float, places: int) -> str:
    """A number with so many decimals; nothing is less than nothing.

    Example:
        >>> fixed(1.25, 1), fixed(-0.04, 1)
        ('1.2', '0.0')
    """
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if not float(text) else text


def signed(value: float, places: int) -> str:
    """A difference: what is not 0 to these decimals has its sign.

    Example:
        >>> signed(0.26, 1), signed(-0.26, 1), signed(-0.04, 1)
        ('+0.3', '-0.3', '0.0')
    """
    text = fixed(value, places)
    return f"+{text}" if float(text) > 0 else text


def round_to(value: float, digits: int) -> float:
    """A number with so many significant digits.

    Example:
        >>> round_to(0.00123456, 3), round_to(123456.0, 3)
        (0.00123, 123000.0)
    """
    return float(f"{value:.{digits}g}")


def p_text(p: float) -> str:
    """A p value in words a table can hold.

    Example:
        >>> p_text(0.0004), p_text(0.0312)
        ('p < 0.001', 'p = 0.031')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def better_or_worse(cell: LeaderboardCell, *, higher_is_better: bool) -> int:
    """1 or -1 where the checkpoint is better or worse than the reference beyond chance, else 0."""
    if cell.p_value is None or cell.p_value >= SIGNIFICANT or not cell.difference:
        return 0
    return 1 if (cell.difference > 0) == higher_is_better else -1
