"""``density``: how deep among the real ones do the images lie?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import scorers
from benchmark.scorers.engine.manifold import ManifoldScorer

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.prdc import Distances


@scorers.register()
class Density(ManifoldScorer):
    """Balls of reference images around an image on average, in units of 5: one outlier counts little."""

    name: ClassVar[str] = "density"
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "1 = as dense as the reference"
    reference: ClassVar[str] = "Naeem et al., ICML 2020; features as fid"

    def number(self, found: "Distances", index: "np.ndarray") -> float:
        """The mean."""
        return self._neighbours.density(found, index)
