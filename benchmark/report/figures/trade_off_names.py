"""What the points of the trade-off figure are called, where, and how often they are on the front."""

from collections.abc import Callable, Sequence

from benchmark.report.figures.style import COLOURS, shown
from benchmark.report.figures.trade_off_points import Point

FEW = 8
"""Points up to which whole names are tried beside them."""

Naming = tuple[list[str], dict[str, str]]
"""What stands beside each point, and the legend's entry of each method."""


def namings(points: Sequence[Point]) -> list[Callable[[Sequence[Point]], Naming]]:
    """The ways to try, best first."""
    methods = len(methods_of(points))
    if methods > len(COLOURS):
        return [_numbers]
    each = methods == len(points) - 1
    return [_whole_names, _details, _numbers] if each and methods < FEW else [_details, _numbers]


def _whole_names(points: Sequence[Point]) -> Naming:
    return [shown(point.name) + _support(point) for point in points], {}


def _details(points: Sequence[Point]) -> Naming:
    reference, *others = points
    texts = [shown(point.detail, 24) + _support(point) for point in others]
    entries = {point.method: shown(point.method) for point in others}
    return [shown(reference.name, 24) + _support(reference), *(text.strip() for text in texts)], entries


def _numbers(points: Sequence[Point]) -> Naming:
    reference, *others = points
    entries: dict[str, str] = {}
    for number, point in enumerate(others, start=1):
        method = shown(point.method)
        if sum(other.method == point.method for other in others) == 1:
            entries[point.method] = f"{number} {method}{_support(point)}"
            continue
        # One word, which no line break tears apart.
        text = f"{number} {shown(point.detail)}{_support(point)}".replace(" ", "\N{NO-BREAK SPACE}")
        entries[point.method] = (
            f"{entries[point.method]}, {text}" if point.method in entries else f"{method}: {text}"
        )
    return [shown(reference.name, 24) + _support(reference), *map(str, range(1, len(others) + 1))], entries


def _support(point: Point) -> str:
    if point.support is None:
        return ""
    share = f"{100 * point.support:.0f}"
    return f" ({'<1' if share == '0' else share} %)"


def methods_of(points: Sequence[Point]) -> list[str]:
    """The methods of all but the first point, each once."""
    return list(dict.fromkeys(point.method for point in points[1:]))
