"""``coverage``: how much of what is real has an image near it?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import scorers
from benchmark.scorers.engine.manifold import ManifoldScorer

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.prdc import Distances


@scorers.register()
class Coverage(ManifoldScorer):
    """Share of the reference images with an image in their ball, which reaches to their 5th neighbour."""

    name: ClassVar[str] = "coverage"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    reference: ClassVar[str] = "Naeem et al., ICML 2020; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The share."""
        return self._neighbours.coverage(found, index)
