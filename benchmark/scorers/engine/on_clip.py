"""What ``clip`` and the scorers on its embeddings have in common; no torch."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from benchmark.scorers.base import Scorer
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.scorers.engine.open_clip import OpenClip

# The releases of published weights, and their architectures: OpenAI trained with a quicker GELU than today's.
_PUBLISHED = {
    "ViT-H-14": ("clip-vit-h-14", "ViT-H-14"),
    "ViT-L-14": ("clip-vit-l-14", "ViT-L-14-quickgelu"),
}


class OnClip(Scorer):
    """A scorer on an open_clip model with CLIP's preprocessing; each image is embedded once for all of them.

    Args:
        weights: ``embedded``, ``published``, or an open_clip folder or file.
        model: Which published one: ``ViT-H-14`` (laion2b_s32b_b79k) or ``ViT-L-14`` (openai). For a file
            of your own, open_clip's name of its architecture.
        precision: ``fp32`` or ``bf16``.
    """

    published: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "": ("clip-vit-h-14",),
        "model='ViT-L-14'": ("clip-vit-l-14",),
    }

    _tower: "OpenClip"

    def __init__(
        self, weights: str = locate.EMBEDDED, model: str = "ViT-H-14", precision: str = "fp32"
    ) -> None:
        self.weights, self.model, self.precision = weights, model, precision
        if weights == locate.PUBLISHED and model not in _PUBLISHED:
            raise ValueError(f"there are no published weights of {model}, but of {' and '.join(_PUBLISHED)}")

    @property
    def _place(self) -> Path:
        release, _ = _PUBLISHED.get(self.model, ("", ""))
        return locate.place(self.name, self.weights, "shapes-clip", release)

    @property
    def _architecture(self) -> str:
        return _PUBLISHED[self.model][1] if self.weights == locate.PUBLISHED else self.model

    @final
    @cached_property
    def weights_hash(self) -> str:
        """Of the model."""
        return locate.short_hash(self._place)

    @final
    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model."""
        from benchmark.scorers.engine.open_clip import OpenClip
        from benchmark.scorers.engine.pool import shared
        from benchmark.scorers.engine.preprocess import clip_pixels

        key = f"clip:{self.weights_hash}"
        self._tower = shared(
            OpenClip, self._place, self._architecture, clip_pixels, device, key, self.precision
        )
