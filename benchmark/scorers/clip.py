"""``clip``: do image and text say the same?"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _weights
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._open_clip import OpenClip


@scorers.register()
class Clip(ImageScorer):
    r"""CLIP score: 100 times the cosine of image and text embedding (open_clip).

    $100 \cos(\text{image}, \text{text})$.

    Args:
        weights: ``embedded``, ``published`` (ViT-H-14 laion2b_s32b_b79k), or an open_clip folder or file.
        model: open_clip's name of the architecture of a file.
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

    _tower: "OpenClip"

    def __init__(
        self, weights: str = _weights.EMBEDDED, model: str = "ViT-H-14", precision: str = "fp32"
    ) -> None:
        self.weights, self.model, self.precision = weights, model, precision

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-clip", "clip/open_clip_model.safetensors")

    @cached_property
    def weights_hash(self) -> str:
        """Of the model."""
        return _weights.short_hash(self._place)

    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model."""
        from benchmark.scorers._open_clip import OpenClip
        from benchmark.scorers._pool import shared
        from benchmark.scorers._preprocess import clip_pixels

        key = f"clip:{self.weights_hash}"
        self._tower = shared(OpenClip, self._place, self.model, clip_pixels, device, key, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """100 times the cosine of each image and its prompt."""
        cosines = (self._tower.images(shown) * self._tower.prompts(shown)).sum(1)
        return [100 * float(c) for c in cosines]
