"""``vendi``: how many different images are there among those of one prompt?"""

from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers
from benchmark.scorers.engine.on_clip import OnClip


@scorers.register()
class Vendi(OnClip, PromptScorer):
    r"""Vendi score of one prompt's images: the effective number of different ones for CLIP.

    $\exp(-\sum_i \lambda_i \log \lambda_i)$ with the eigenvalues of $K/n$, $K$ the cosines of all pairs. It
    grows with the number of images, so that only equal numbers of them compare.

    Args:
        weights: As of ``clip``.
        model: As of ``clip``.
        precision: As of ``clip``.
    """

    name: ClassVar[str] = "vendi"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (1.0, None)
    scale: ClassVar[str] = "1..K, 1 = all alike"
    bf16_tolerance: ClassVar[float] = 0.05
    reference: ClassVar[str] = "Friedman & Dieng, The Vendi Score, TMLR 2023; embedding as clip"

    def value(self, shown: Shown) -> Value:
        """The effective number of images."""
        from benchmark.scorers.engine.spread import vendi

        if len(shown) < 2:
            return Missing("fewer than two images")
        return vendi(self._tower.images(shown))
