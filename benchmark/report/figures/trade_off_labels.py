"""What the points and lines of the trade-off figure are called."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D

from benchmark.core.records import Frontier
from benchmark.leaderboard.optimum_lines import HOLLOW_BELOW
from benchmark.report.figures.label_places import Label
from benchmark.report.figures.style import (
    FRONTIER_DASHES,
    INK,
    MUTED,
    SMALLEST,
    shown,
)
from benchmark.report.figures.trade_off_points import Point
from benchmark.report.palette import COLOURS, look, numbers_of_lines

FEW = 8
"""Points up to which whole names are tried beside them."""

MARGIN = 0.12
"""Room about the marks, as a share of what they take."""

Naming = tuple[list[str], dict[str, str]]
"""The text beside each point, and the legend's entry of each method."""


def namings(points: Sequence[Point]) -> list[Callable[[Sequence[Point]], Naming]]:
    """The ways to try, best first.

    Args:
        points: One a name, the reference first, as of :func:`named_points`.
    """
    methods = len(methods_of(points))
    if methods > len(COLOURS):
        return [_numbers]
    each = methods == len(points) - 1
    return [_whole_names, _details, _numbers] if each and methods < FEW else [_details, _numbers]


def named_points(points: Sequence[Point]) -> list[Point]:
    """One point of each name, in order: of several training seeds the one nearest to their middle."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.name, []).append(point)
    return [_middle(group) for group in groups.values()]


def _middle(group: Sequence[Point]) -> Point:
    places = np.array([(point.x, point.y) for point in group])
    away = places - places.mean(axis=0)
    # In the spread of each axis: their units are not alike.
    spread = np.where(np.ptp(places, axis=0) > 0, np.ptp(places, axis=0), 1.0)
    return group[int(np.argmin((away / spread) ** 2 @ [1, 1]))]


def _whole_names(points: Sequence[Point]) -> Naming:
    return [shown(point.name) for point in points], {}


def _details(points: Sequence[Point]) -> Naming:
    reference, *others = points
    entries = {point.method: shown(point.method) for point in others}
    return [shown(reference.name, 24), *(shown(point.detail, 24) for point in others)], entries


def _numbers(points: Sequence[Point]) -> Naming:
    reference, *others = points
    entries: dict[str, str] = {}
    for number, point in enumerate(others, start=1):
        method = shown(point.method)
        if sum(other.method == point.method for other in others) == 1:
            entries[point.method] = f"{number} {method}"
            continue
        # One word, which no line break tears apart.
        text = f"{number} {shown(point.detail)}".replace(" ", "\N{NO-BREAK SPACE}")
        entries[point.method] = (
            f"{entries[point.method]}, {text}" if point.method in entries else f"{method}: {text}"
        )
    return [shown(reference.name, 24), *map(str, range(1, len(others) + 1))], entries


def methods_of(points: Sequence[Point]) -> list[str]:
    """The methods of all but the first point, each once."""
    return list(dict.fromkeys(point.method for point in points[1:]))


def frontier_labels(frontiers: Sequence[Frontier]) -> tuple[list[Label], list[Label]]:
    """The name of each at its last point, and what its other points are, where there is room."""
    names, others = [], []
    for frontier in frontiers:
        *first, last = frontier.points
        text = f"{shown(frontier.name, 36)}: {shown(last.label, 14)}"
        names.append(Label(last.x, last.y, text, INK, size=SMALLEST))
        # The first point says where the line comes from; what lies between is more of the same.
        others += [Label(p.x, p.y, shown(p.label, 14), MUTED, optional=True, size=SMALLEST) for p in first]
    return names, others


def looks_of_lines(lines: Sequence[Frontier], methods: Sequence[str]) -> list[tuple[str, tuple[float, ...]]]:
    """Colour and dashes of each optimum: its method's colour, drawn through, else another one with dashes.

    Args:
        lines: The optima.
        methods: Such as ``f_dpo reverse_kl``; the first under a divergence counts.
    """
    numbers = numbers_of_lines([line.divergence for line in lines], methods)
    found = [numbers[line.divergence] for line in lines]
    return [(look(number)[0], FRONTIER_DASHES[not trained]) for number, trained in found]


def handles_of_lines(lines: Sequence[Frontier], methods: Sequence[str]) -> list[Line2D]:
    """The legend's entries of the optima."""
    return [
        Line2D([], [], color=colour, lw=1.0, dashes=dashes, label=f"optimum {shown(line.divergence, 24)}")
        for line, (colour, dashes) in zip(lines, looks_of_lines(lines, methods), strict=True)
    ]


def lines_in_words(
    lines: Sequence[Frontier], titles: Mapping[str, str], marks: Sequence[tuple[float, float]]
) -> str:
    """What the lines of optima are, for a caption.

    Args:
        lines: The optima.
        titles: Of the scorers drawn, by name.
        marks: Where everything else is, which decides how much of the lines is in view.
    """
    facts = sorted({(shown(titles.get(line.reward, line.reward), 30), line.pool) for line in lines})
    of = " and of ".join(f"{reward} on {pool} images of the base per prompt" for reward, pool in facts)
    solid = [(point.x, point.y) for line in lines for point in line.points if not point.hollow]
    low, high = np.min([*marks, *solid], axis=0), np.max([*marks, *solid], axis=0)
    room = MARGIN * (high - low)
    hollow = np.array([(point.x, point.y) for line in lines for point in line.points if point.hollow])
    in_view = hollow.size and ((low - room <= hollow) & (hollow <= high + room)).all(axis=1).any()
    share = f"{100 * HOLLOW_BELOW:g} %"
    signs = f"; dotted: the weight is on effectively fewer than {share} of these" if in_view else ""
    return f"Lines: the optimum under each divergence, of {of}, drawn from the base's point{signs}."
