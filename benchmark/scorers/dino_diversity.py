"""``dino_diversity``: how far apart are the images of one prompt for DINOv2?"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.networks.dino import Dino


@scorers.register()
class DinoDiversity(locate.OpensWeights, PromptScorer):
    r"""Mean pairwise distance of the DINOv2 embeddings of one prompt's images.

    $\frac{1}{K(K-1)} \sum_{i \ne j} (1 - \cos(e_i, e_j))$ of the class token. It never read a text: it sees
    layout and identity that CLIP passes over. The embedded world comes without one.

    Args:
        weights: ``published`` (facebook/dinov2-base), or a folder with such a model.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "dino_diversity"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, float]] = (0.0, 2.0)
    scale: ClassVar[str] = "0..2, 0 = all alike"
    bf16_tolerance: ClassVar[float] = 0.02
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("dinov2-base",)}
    reference: ClassVar[str] = "Oquab et al., DINOv2, TMLR 2024; mean pairwise 1 - cosine"

    _dino: "Dino"

    def __init__(self, weights: str = locate.PUBLISHED, precision: str = "fp32") -> None:
        self.weights, self.precision = weights, precision

    def weight_paths(self) -> tuple[Path, ...]:
        """The model."""
        return (locate.place_of_published(self.name, self.weights, "shapes-dino", "dinov2-base"),)

    def load(self, device: str = "cpu") -> None:
        """Reads the model."""
        from benchmark.networks.dino import Dino

        self._dino = Dino(self.place, device, f"dino:{self.weights_hash}", self.precision)

    def value(self, shown: Shown) -> Value:
        """The mean distance of a pair."""
        from benchmark.scorers.engine.diversity import mean_pair_distance

        if len(shown) < 2:
            return Missing("fewer than two images")
        return mean_pair_distance(shown.embeddings(self._dino))

    def pair_distances(self, shown: Shown) -> "np.ndarray":
        """The distance of each pair."""
        from benchmark.scorers.engine.diversity import pair_distances

        return pair_distances(shown.embeddings(self._dino))
