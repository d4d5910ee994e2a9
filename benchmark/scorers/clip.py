"""``clip``: do image and text say the same?"""

from collections.abc import Sequence
from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.scorers.engine.on_clip import OnClip


@scorers.register()
class Clip(OnClip, ImageScorer):
    r"""CLIP score: 100 times the cosine of image and text embedding (open_clip).

    $100 \cos(\text{image}, \text{text})$.

    Args:
        weights: ``embedded``, ``published``, or an open_clip folder or file.
        model: Which published one: ``ViT-H-14`` (laion2b_s32b_b79k) or ``ViT-L-14`` (openai). For a file
            of your own, open_clip's name of its architecture.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "clip"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float]] = (-100.0, 100.0)
    scale: ClassVar[str] = "x 100"
    bf16_tolerance: ClassVar[float] = 0.3
    reference: ClassVar[str] = (
        "Hessel et al., CLIPScore, EMNLP 2021; weights: Cherti et al., OpenCLIP, CVPR 2023"
    )

    def values(self, shown: Shown) -> Sequence[Value]:
        """100 times the cosine of each image and its prompt."""
        cosines = (self._tower.images(shown) * self._tower.prompts(shown)).sum(1)
        return [100 * float(c) for c in cosines]
