"""``style_cosine``: how near is an image to the style its prompt asks for?"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmark.core.console import notice
from benchmark.core.records import Axis, Prompt
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.scorers.engine import styles
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.scorers.engine.open_clip import OpenClip

CLIP: Final = "clip-vit-h-14"
"""The release of the published weights."""


@scorers.register()
class StyleCosine(ImageScorer):
    """Cosine of an image's CLIP embedding to the mean embedding of its style's reference images.

    Prompts that name none of these styles get no row.

    Args:
        weights: ``embedded``, ``published`` (as ``clip``), or an open_clip folder or file.
        references: ``embedded``, or a folder with one folder of images for each style; must be given unless
            the weights are embedded or a folder.
        model: open_clip's name of the architecture of a file.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "style_cosine"
    axis: ClassVar[Axis] = "style"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    scale: ClassVar[str] = "-1..1"
    bf16_tolerance: ClassVar[float] = 0.005
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": (CLIP,)}
    reference: ClassVar[str] = "the project's own; embedding as clip"

    _tower: "OpenClip"
    _centroids: dict[str, Any]

    def __init__(
        self,
        weights: str = locate.EMBEDDED,
        references: str = "",
        model: str = "ViT-H-14",
        precision: str = "fp32",
    ) -> None:
        self.weights, self.references = weights, references
        self.model, self.precision = model, precision

    @property
    def _place(self) -> Path:
        return locate.place(self.name, self.weights, "shapes-clip", CLIP)

    @cached_property
    def _places(self) -> Mapping[str, Path]:
        return styles.style_places(self.name, self.references, embedded=self._place.is_dir())

    @cached_property
    def weights_hash(self) -> str:
        """Of the model and the reference images."""
        return styles.styles_hash(self._place, self._places)

    def load(self, device: str = "cpu") -> None:
        """Reads the model and embeds the references; without any named, as `AgainstReference.load`."""
        from benchmark.scorers.engine.open_clip import OpenClip
        from benchmark.scorers.engine.pool import shared
        from benchmark.scorers.engine.preprocess import clip_pixels

        key = f"clip:{locate.short_hash(self._place)}"
        # As `clip` has it, so that both share one.
        self._tower = shared(OpenClip, self._place, self.model, clip_pixels, device, key, self.precision)
        if not self._place.is_dir() and not self.references:
            return
        images = {style: styles.style_images(place) for style, place in self._places.items()}
        self._centroids = {style: self._tower.centroid(seen) for style, seen in images.items()}
        notice(styles.styles_in_words(self._places, {style: len(seen) for style, seen in images.items()}))

    def concerns(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the styles."""
        return styles.style_of(prompt) in self._places

    def values(self, shown: Shown) -> Sequence[Value]:
        """The cosine of each image to its style's centroid."""
        seen = self._tower.images(shown)
        asked = [self._centroids[styles.style_of(prompt)] for prompt in shown.prompts]
        return [float(one @ centre) for one, centre in zip(seen, asked, strict=True)]
