"""``style_cosine``: how near is an image to the style its prompt asks for?"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.core.records import Axis, Prompt
from benchmark.scorers import _styles, _weights
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._open_clip import OpenClip


@scorers.register()
class StyleCosine(ImageScorer):
    """Cosine of an image's CLIP embedding to the mean embedding of its style's reference images.

    Prompts that name none of these styles get no row.

    Args:
        weights: ``embedded``, or an open_clip folder.
        references: ``embedded``, or a folder with ``shapes-style-STYLE.parquet`` files.
    """

    name: ClassVar[str] = "style_cosine"
    axis: ClassVar[Axis] = "style"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    scale: ClassVar[str] = "-1..1"
    reference: ClassVar[str] = "embedded style data; embedding as clip"

    _tower: "OpenClip"
    _centroids: dict[str, Any]

    def __init__(self, weights: str = _weights.EMBEDDED, references: str = _weights.EMBEDDED) -> None:
        self.weights, self.references = weights, references

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-clip")

    @cached_property
    def weights_hash(self) -> str:
        """Of the model and the reference images."""
        files = [_styles.style_file(style, self.references) for style in _styles.STYLES]
        return _weights.short_hash(self._place, *files)

    def load(self, device: str = "cpu") -> None:
        """Reads the model and embeds the references."""
        from benchmark.scorers._open_clip import OpenClip
        from benchmark.scorers._pool import shared
        from benchmark.scorers._preprocess import clip_pixels

        key = f"clip:{_weights.short_hash(self._place)}"
        # As `clip` has it, so that both share one.
        self._tower = shared(OpenClip, self._place, "ViT-H-14", clip_pixels, device, key, self.precision)
        self._centroids = {
            style: self._tower.centroid(_styles.style_images(style, self.references))
            for style in _styles.STYLES
        }

    def concerns(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the styles."""
        return prompt.style in _styles.STYLES

    def values(self, shown: Shown) -> Sequence[Value]:
        """The cosine of each image to its style's centroid."""
        seen = self._tower.images(shown)
        return [float(e @ self._centroids[str(p.style)]) for e, p in zip(seen, shown.prompts, strict=True)]
