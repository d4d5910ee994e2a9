"""What is computed once about a whole set of images, for all scorers and for all parts that are asked for."""

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from benchmark.scorers.engine.shown import Shown
from benchmark.scorers.engine.source import Source

T = TypeVar("T")

_KNOWN: WeakKeyDictionary[Source, dict[str, tuple[dict[int, int], Any]]] = WeakKeyDictionary()


def about_whole(shown: Shown, key: str, compute: Callable[[Shown], T]) -> tuple[T, "np.ndarray"]:
    """Something about a set, such as the distances between its images, and where those shown stand in it.

    Whoever asks first with a key shows the whole; a jackknife then shows parts of it, and pays for the
    difference alone.

    Args:
        shown: The images that are asked about.
        key: Names what is computed, and with which weights and references.
        compute: Gives it for the images that it is shown; must not hold on to them.

    Returns:
        What was computed, and the positions of the images shown among those it was computed for.
    """
    mine = _KNOWN.setdefault(shown.source, {})
    places, found = mine.get(key, ({}, None))
    if not all(row in places for row in shown.rows):
        places = {row: i for i, row in enumerate(shown.rows)}
        found = compute(shown)
        mine[key] = places, found
    return found, np.array([places[row] for row in shown.rows], dtype=np.int64)
