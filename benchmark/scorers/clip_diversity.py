"""``clip_diversity``: how far apart are the images of one prompt for CLIP?"""

from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers
from benchmark.scorers.engine.on_clip import OnClip


@scorers.register()
class ClipDiversity(OnClip, PromptScorer):
    r"""Mean pairwise distance of the CLIP embeddings of one prompt's images.

    $\frac{1}{K(K-1)} \sum_{i \ne j} (1 - \cos(e_i, e_j))$.

    Args:
        weights: As of ``clip``.
        model: As of ``clip``.
        precision: As of ``clip``.
    """

    name: ClassVar[str] = "clip_diversity"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, float]] = (0.0, 2.0)
    scale: ClassVar[str] = "0..2, 0 = all alike"
    bf16_tolerance: ClassVar[float] = 0.02
    reference: ClassVar[str] = "mean pairwise 1 - cosine; embedding as clip"

    def value(self, shown: Shown) -> Value:
        """The mean distance of a pair."""
        from benchmark.scorers.engine.spread import mean_pair_distance

        if len(shown) < 2:
            return Missing("fewer than two images")
        return mean_pair_distance(self._tower.images(shown))
