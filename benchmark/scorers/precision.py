"""``precision``: how many of the images look real?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import scorers
from benchmark.scorers.engine.manifold import ManifoldScorer

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.prdc import Distances


@scorers.register()
class Precision(ManifoldScorer):
    """Share of the images in the ball of some reference image, which reaches to its 5th neighbour."""

    name: ClassVar[str] = "precision"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Kynkaanniemi et al., NeurIPS 2019; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The share."""
        return self._neighbours.precision(found, index)
