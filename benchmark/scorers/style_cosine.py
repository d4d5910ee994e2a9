"""``style_cosine``: how near is an image to the style its prompt asks for?"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmark.core.notices import notice
from benchmark.core.records import Axis, Prompt
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.scorers.engine import styles
from benchmark.scorers.engine.cache import shared
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.networks.open_clip import OpenClip

CLIP: Final = "clip-vit-h-14"
"""The release of the published weights."""


@scorers.register()
class StyleCosine(locate.OpensWeights, ImageScorer):
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

    _clip: "OpenClip"
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

    @cached_property
    def _places(self) -> Mapping[str, Path]:
        return styles.style_places(self.name, self.references, embedded=self.place.is_dir())

    def weight_paths(self) -> tuple[Path, ...]:
        """The model."""
        return (locate.place(self.name, self.weights, "shapes-clip", CLIP),)

    def reference_paths(self) -> Iterable[Path]:
        """The styles' images."""
        return self._places.values()

    def full_hash(self, known: str) -> str:
        """Of the model, the reference images and the names of styles that are not the embedded world's."""
        return styles.hash_with_names(known, self._places)

    def load(self, device: str = "cpu") -> None:
        """Reads the model and embeds the references; without any named, as `AgainstReference.load`."""
        from torch import from_numpy
        from torch.nn.functional import normalize

        from benchmark.networks.open_clip import OpenClip, clip_pixels

        key = f"clip:{locate.short_hash(self.place)}"
        # As `clip` has it, so that both share one.
        self._clip = shared(OpenClip, self.place, self.model, clip_pixels, device, key, self.precision)
        if not self.place.is_dir() and not self.references:
            return
        images = {style: styles.style_images(place) for style, place in self._places.items()}
        means = {s: from_numpy(self._clip.of_images(seen)).mean(0) for s, seen in images.items()}
        self._centroids = {style: normalize(mean, dim=0).numpy() for style, mean in means.items()}
        notice(styles.styles_in_words(self._places, {style: len(seen) for style, seen in images.items()}))

    def concerns(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the styles."""
        return styles.style_of(prompt) in self._places

    def values(self, shown: Shown) -> Sequence[Value]:
        """The cosine of each image to its style's centroid."""
        seen = shown.embeddings(self._clip)
        asked = [self._centroids[styles.style_of(prompt)] for prompt in shown.prompts]
        return [float(one @ centre) for one, centre in zip(seen, asked, strict=True)]
