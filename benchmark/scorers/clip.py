"""``clip``: do image and text say the same?"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _weights
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._open_clip import OpenClip

# The releases of published weights, and their architectures: OpenAI trained with a quicker GELU than today's.
_PUBLISHED = {
    "ViT-H-14": ("clip-vit-h-14", "ViT-H-14"),
    "ViT-L-14": ("clip-vit-l-14", "ViT-L-14-quickgelu"),
}


@scorers.register()
class Clip(ImageScorer):
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

    published: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "": ("clip-vit-h-14",),
        "model='ViT-L-14'": ("clip-vit-l-14",),
    }

    _tower: "OpenClip"

    def __init__(
        self, weights: str = _weights.EMBEDDED, model: str = "ViT-H-14", precision: str = "fp32"
    ) -> None:
        self.weights, self.model, self.precision = weights, model, precision
        if weights == _weights.PUBLISHED and model not in _PUBLISHED:
            raise ValueError(f"there are no published weights of {model}, but of {' and '.join(_PUBLISHED)}")

    @property
    def _place(self) -> Path:
        release, _ = _PUBLISHED.get(self.model, ("", ""))
        return _weights.place(self.name, self.weights, "shapes-clip", release)

    @property
    def _architecture(self) -> str:
        return _PUBLISHED[self.model][1] if self.weights == _weights.PUBLISHED else self.model

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
        self._tower = shared(
            OpenClip, self._place, self._architecture, clip_pixels, device, key, self.precision
        )

    def values(self, shown: Shown) -> Sequence[Value]:
        """100 times the cosine of each image and its prompt."""
        cosines = (self._tower.images(shown) * self._tower.prompts(shown)).sum(1)
        return [100 * float(c) for c in cosines]
