"""What the scorers on the embeddings of ``clip`` have in common; no torch."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, final

from benchmark.scorers import _weights
from benchmark.scorers.base import Scorer

if TYPE_CHECKING:
    from benchmark.scorers._open_clip import OpenClip


class OnClip(Scorer):
    """A scorer on the model and preprocessing of ``clip``: an image is embedded once for all of them.

    Args:
        weights: ``embedded``, ``published`` (ViT-H-14 laion2b_s32b_b79k), or an open_clip folder or file.
        model: open_clip's name of the architecture of a file.
        precision: ``fp32`` or ``bf16``.
    """

    _tower: "OpenClip"

    def __init__(
        self, weights: str = _weights.EMBEDDED, model: str = "ViT-H-14", precision: str = "fp32"
    ) -> None:
        self.weights, self.model, self.precision = weights, model, precision

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-clip", "clip/open_clip_model.safetensors")

    @final
    @cached_property
    def weights_hash(self) -> str:
        """Of the model."""
        return _weights.short_hash(self._place)

    @final
    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model."""
        from benchmark.scorers._open_clip import OpenClip
        from benchmark.scorers._pool import shared
        from benchmark.scorers._preprocess import clip_pixels

        key = f"clip:{self.weights_hash}"
        self._tower = shared(OpenClip, self._place, self.model, clip_pixels, device, key, self.precision)
