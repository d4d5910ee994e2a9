"""``aesthetic``: would people who rate photographs like it?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.scorers.engine.cache import shared
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.networks.aesthetic import AestheticHead
    from benchmark.networks.open_clip import OpenClip


@scorers.register()
class Aesthetic(locate.OpensWeights, ImageScorer):
    """LAION's aesthetic predictor: a linear head on normalised CLIP embeddings; the prompt is not looked at.

    The head's five layers have nothing between them. The embedded world comes without one.

    Args:
        weights: ``published`` (sac+logos+ava1-l14-linearMSE), or the head's file.
        clip: ``published`` (OpenAI's ViT-L-14), or an open_clip folder or file; None: as ``weights`` says.
        model: open_clip's name of the architecture of a file; OpenAI's models use QuickGELU.
        precision: ``fp32`` or ``bf16``, of the CLIP model.
    """

    name: ClassVar[str] = "aesthetic"
    axis: ClassVar[Axis] = "preference"
    scale: ClassVar[str] = "about 1..10"
    bf16_tolerance: ClassVar[float] = 0.1
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("aesthetic", "clip-vit-l-14")}
    reference: ClassVar[str] = "Schuhmann, improved-aesthetic-predictor, 2022"

    _clip: "OpenClip"
    _head: "AestheticHead"

    def __init__(
        self,
        weights: str = locate.PUBLISHED,
        clip: str | None = None,
        model: str = "ViT-L-14-quickgelu",
        precision: str = "fp32",
    ) -> None:
        self.weights, self.model, self.precision = weights, model, precision
        named = weights in (locate.EMBEDDED, locate.PUBLISHED)
        self.clip = clip or (weights if named else locate.PUBLISHED)

    @property
    def _head_place(self) -> Path:
        head = "shapes-aesthetic/head.pth"
        return locate.place_of_published(self.name, self.weights, head, "aesthetic")

    @property
    def _clip_place(self) -> Path:
        return locate.place(self.name, self.clip, "shapes-clip", "clip-vit-l-14")

    def weight_paths(self) -> tuple[Path, ...]:
        """The head and the CLIP model."""
        return self._head_place, self._clip_place

    def load(self, device: str = "cpu") -> None:
        """Reads both."""
        from benchmark.networks.aesthetic import load_aesthetic_head
        from benchmark.networks.open_clip import OpenClip, clip_pixels

        key = f"clip:{locate.short_hash(self._clip_place)}"
        self._head = load_aesthetic_head(self._head_place)
        self._clip = shared(OpenClip, self._clip_place, self.model, clip_pixels, device, key, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        return self._head.rate(shown.embeddings(self._clip))
