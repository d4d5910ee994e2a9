"""What ``precision``, ``recall``, ``density`` and ``coverage`` have in common; no torch."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Final, final

from benchmark.core.errors import UserError
from benchmark.scorers.base import Missing, Shown, Value
from benchmark.scorers.engine.against import AgainstReference
from benchmark.scorers.engine.compared import Compared
from benchmark.scorers.engine.memo import about_whole

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.prdc import Distances, Neighbours

K: Final = 5
"""Of the nearest neighbours, as both papers have it."""


class ManifoldScorer(AgainstReference):
    """A scorer that stands on the distances between images and references, computed once for all four."""

    _neighbours: "Neighbours"

    @abstractmethod
    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The number of a part of the set."""

    @final
    def prepare(self, reference: Compared) -> None:
        """The reference's balls."""
        features = reference.features(self.name)
        if len(features) <= K:
            raise UserError(
                f"scorer {self.name}: the reference has {len(features)} images", allowed=f"at least {K + 1}"
            )
        self._neighbours = reference.neighbours(K)

    @final
    def value(self, shown: Shown) -> Value:
        """The number of the set."""
        if len(shown) <= K:
            return Missing(f"fewer than {K + 1} images: there is no {K}th neighbour")
        found, index = about_whole(shown, f"distances:{self.weights_hash}", self._distances)
        return self.number(found, index)

    def _distances(self, whole: Shown) -> "Distances":
        return self._neighbours.distances(self._features.of(whole))
