"""``precision``, ``recall``, ``density`` and ``coverage``: nearest neighbours among images and references."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

from benchmark.core.errors import UserError
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine.cache import shared
from benchmark.scorers.engine.features import AgainstReference
from benchmark.scorers.engine.references import Reference

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.distances import Distances, Neighbours

K: Final = 5
"""Of the nearest neighbours, as both papers have it."""


@scorers.register()
class Precision(AgainstReference, SetScorer):
    """Share of the images in the ball of some reference image, which reaches to its 5th neighbour."""

    name: ClassVar[str] = "precision"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Kynkaanniemi et al., NeurIPS 2019; features as fid"

    _neighbours: "Neighbours"

    def prepare(self, reference: Reference) -> None:
        """The reference's balls."""
        self._neighbours = neighbours_of(reference, self.name)

    def value(self, shown: Shown) -> Value:
        """The share."""
        return number(self, self._neighbours, shown, self._neighbours.precision)


@scorers.register()
class Recall(AgainstReference, SetScorer):
    """Share of the reference images in the ball of some image, which reaches to its 5th neighbour."""

    name: ClassVar[str] = "recall"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Kynkaanniemi et al., NeurIPS 2019; features as fid"

    _neighbours: "Neighbours"

    def prepare(self, reference: Reference) -> None:
        """The reference's balls."""
        self._neighbours = neighbours_of(reference, self.name)

    def value(self, shown: Shown) -> Value:
        """The share."""
        return number(self, self._neighbours, shown, self._neighbours.recall)


@scorers.register()
class Density(AgainstReference, SetScorer):
    """Balls of reference images around an image on average, in units of 5: one outlier counts little."""

    name: ClassVar[str] = "density"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "1 = as dense as the reference"
    reference: ClassVar[str] = "Naeem et al., ICML 2020; features as fid"

    _neighbours: "Neighbours"

    def prepare(self, reference: Reference) -> None:
        """The reference's balls."""
        self._neighbours = neighbours_of(reference, self.name)

    def value(self, shown: Shown) -> Value:
        """The mean."""
        return number(self, self._neighbours, shown, self._neighbours.density)


@scorers.register()
class Coverage(AgainstReference, SetScorer):
    """Share of the reference images with an image in their ball, which reaches to their 5th neighbour."""

    name: ClassVar[str] = "coverage"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Naeem et al., ICML 2020; features as fid"

    _neighbours: "Neighbours"

    def prepare(self, reference: Reference) -> None:
        """The reference's balls."""
        self._neighbours = neighbours_of(reference, self.name)

    def value(self, shown: Shown) -> Value:
        """The share."""
        return number(self, self._neighbours, shown, self._neighbours.coverage)


def neighbours_of(reference: Reference, scorer: str) -> "Neighbours":
    """The balls that reach to each reference image's K-th neighbour, computed once for all four.

    Args:
        reference: Its features.
        scorer: Who asks, for messages.

    Raises:
        UserError: if there are too few reference images.
    """
    features = reference.features(scorer)
    if len(features) <= K:
        raise UserError(
            f"scorer {scorer}: the reference has {len(features)} images", allowed=f"at least {K + 1}"
        )
    return shared(_neighbours, reference)


def _neighbours(reference: Reference) -> "Neighbours":
    from benchmark.scorers.engine.distances import Neighbours

    return Neighbours(reference.features("prdc"), K)


def number(
    scorer: AgainstReference,
    neighbours: "Neighbours",
    shown: Shown,
    of: "Callable[[Distances, np.ndarray], float]",
) -> Value:
    """One of the four numbers of a set; the distances between images and references are computed once.

    Args:
        scorer: Whose.
        neighbours: Of the reference.
        shown: The images.
        of: From distances, and the positions of the images among them, to the number.
    """
    if len(shown) <= K:
        return Missing(f"fewer than {K + 1} images: there is no {K}th neighbour")
    key = f"distances:{scorer.weights_hash}"
    found, index = shown.once(key, lambda whole: neighbours.distances(scorer.features(whole)))
    return of(found, index)
