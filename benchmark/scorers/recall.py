"""``recall``: how much of what is real do the images show?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import scorers
from benchmark.scorers.engine.manifold import ManifoldScorer

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.prdc import Distances


@scorers.register()
class Recall(ManifoldScorer):
    """Share of the reference images in the ball of some image, which reaches to its 5th neighbour."""

    name: ClassVar[str] = "recall"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Kynkaanniemi et al., NeurIPS 2019; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The share."""
        return self._neighbours.recall(found, index)
