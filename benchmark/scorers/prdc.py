"""``precision``, ``recall``, ``density`` and ``coverage``: nearest neighbours among images and references."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, final

from benchmark.core.errors import UserError
from benchmark.core.words import number_of
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine.cache import shared
from benchmark.scorers.engine.features import AgainstReference
from benchmark.scorers.engine.references import Reference

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.distances import Distances, Neighbours

K: Final = 5
"""Of the nearest neighbours, as both papers have it."""


class _ByNeighbours(AgainstReference):
    """Mixin of a scorer on the distances between images and references, computed once for all four."""

    _neighbours: "Neighbours"

    @final
    def prepare(self, reference: Reference) -> None:
        """The reference's balls."""
        features = reference.features(self.name)
        if len(features) <= K:
            raise UserError(
                f"scorer {self.name}: the reference has {number_of(len(features), 'image')}",
                allowed=f"at least {K + 1}",
            )
        self._neighbours = shared(_neighbours, reference)

    @final
    def value(self, shown: Shown) -> Value:
        """The number of the set."""
        if len(shown) <= K:
            return Missing(f"fewer than {K + 1} images: there is no {K}th neighbour")
        key = f"distances:{self.weights_hash}"
        return self.number(*shown.once(key, lambda whole: self._neighbours.distances(self.features(whole))))

    @abstractmethod
    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The number of a part of the set."""


def _neighbours(reference: Reference) -> "Neighbours":
    from benchmark.scorers.engine.distances import Neighbours

    return Neighbours(reference.features("prdc"), K)


@scorers.register()
class Precision(_ByNeighbours, SetScorer):
    """Share of the images in the ball of some reference image, which reaches to its 5th neighbour."""

    name: ClassVar[str] = "precision"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Kynkaanniemi et al., NeurIPS 2019; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The share."""
        return self._neighbours.precision(found, index)


@scorers.register()
class Recall(_ByNeighbours, SetScorer):
    """Share of the reference images in the ball of some image, which reaches to its 5th neighbour."""

    name: ClassVar[str] = "recall"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Kynkaanniemi et al., NeurIPS 2019; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The share."""
        return self._neighbours.recall(found, index)


@scorers.register()
class Density(_ByNeighbours, SetScorer):
    """Balls of reference images around an image on average, in units of 5: one outlier counts little."""

    name: ClassVar[str] = "density"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "1 = as dense as the reference"
    reference: ClassVar[str] = "Naeem et al., ICML 2020; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The mean."""
        return self._neighbours.density(found, index)


@scorers.register()
class Coverage(_ByNeighbours, SetScorer):
    """Share of the reference images with an image in their ball, which reaches to their 5th neighbour."""

    name: ClassVar[str] = "coverage"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Naeem et al., ICML 2020; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The share."""
        return self._neighbours.coverage(found, index)
