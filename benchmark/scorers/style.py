"""Scorers of styles: ``style_cosine`` of one image, ``style_fd`` of the images of all styled prompts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmark.core.console import notice
from benchmark.core.records import Axis, Prompt
from benchmark.scorers.base import ImageScorer, Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine import styles
from benchmark.scorers.engine.cache import shared
from benchmark.scorers.engine.features import PUBLISHED, FeatureWeights, frechet
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.networks.features import Features
    from benchmark.networks.open_clip import OpenClip
    from benchmark.scorers.engine.distances import Gaussian

CLIP: Final = "clip-vit-h-14"
"""The release of the published weights."""


class _Styled(locate.OpensWeights):
    """Mixin of a scorer that compares with images of the styles that prompts ask for."""

    name: ClassVar[str]
    axis: ClassVar[Axis] = "style"
    references: str

    @cached_property
    def _places(self) -> Mapping[str, Path]:
        """Those of the embedded world go without saying unless the weights are a file, as published."""
        return styles.style_places(self.name, self.references, embedded=self.place.is_dir())

    def reference_paths(self) -> Iterable[Path]:
        """The styles' images."""
        return self._places.values()

    def full_hash(self, known: str) -> str:
        """Of weights, reference images and the names of styles that are not the embedded world's."""
        return styles.hash_with_names(known, self._places)

    def concerns(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the styles."""
        return styles.style_of(prompt) in self._places


@scorers.register()
class StyleCosine(_Styled, ImageScorer):
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
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    scale: ClassVar[str] = "-1..1"
    bf16_tolerance: ClassVar[float] = 0.005
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": (CLIP,)}
    reference: ClassVar[str] = "the project's own; embedding as clip"

    _clip: "OpenClip"
    _centroids: dict[str, Any]

    def __init__(
        self,
        weights: str = locate.PUBLISHED,
        references: str = "",
        model: str = "ViT-H-14",
        precision: str = "fp32",
    ) -> None:
        self.weights, self.references = weights, references
        self.model, self.precision = model, precision

    def weight_paths(self) -> tuple[Path, ...]:
        """The model."""
        return (locate.place(self.name, self.weights, "shapes-clip", CLIP),)

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

    def values(self, shown: Shown) -> Sequence[Value]:
        """The cosine of each image to its style's centroid."""
        seen = shown.embeddings(self._clip)
        asked = [self._centroids[styles.style_of(prompt)] for prompt in shown.prompts]
        return [float(one @ centre) for one, centre in zip(seen, asked, strict=True)]


@scorers.register()
class StyleFd(_Styled, SetScorer):
    """Frechet distance of the images of styled prompts to their styles' references; needs n >= 5 d.

    The references are taken in the proportion in which the prompt set asks for the styles.

    Args:
        weights: ``embedded``, ``published`` (torch-fidelity's Inception v3), a folder with a feature network,
            or a file with Inception's weights.
        references: ``embedded``, or a folder with one folder of images for each style; must be given with
            Inception.
        features: Of Inception: 2048, 768, 192 or 64, which want fewer images.
    """

    name: ClassVar[str] = "style_fd"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "lower is better"
    reference: ClassVar[str] = "Diffusion-RPO (Gu et al., 2024) in our reading; distance and features as fid"

    published: ClassVar[Mapping[str, tuple[str, ...]]] = PUBLISHED

    _features: "Features"
    _references: Mapping[str, "np.ndarray"]

    def __init__(
        self, weights: str = locate.PUBLISHED, references: str = "", features: int | None = None
    ) -> None:
        self.weights, self.references = weights, references
        self.network = FeatureWeights(self.name, weights, features)
        self._gaussians: dict[tuple[tuple[str, int], ...], Gaussian] = {}

    def weight_paths(self) -> tuple[Path, ...]:
        """The feature network."""
        return (self.network.place,)

    def full_hash(self, known: str) -> str:
        """Of feature network, reference images and style names; Inception's layer and resize before it."""
        known = super().full_hash(known)
        return f"{self.network.extractor}-{known}" if self.network.from_file else known

    def load(self, device: str = "cpu") -> None:
        """Reads the network and the references' features; without any named, as `AgainstReference.load`."""
        self._features = self.network.open(device)
        if self.network.from_file and not self.references:
            return
        self._references = {
            style: self._features.of_images(styles.style_images(place))
            for style, place in self._places.items()
        }
        sizes = {style: len(features) for style, features in self._references.items()}
        notice(styles.styles_in_words(self._places, sizes))

    def look(self, shown: Shown) -> None:
        """Features of a part of the set."""
        if len(shown):
            shown.embeddings(self._features)

    def remark(self, shown: Shown) -> str:
        """How many references a user named; few bias a Frechet distance as few images do."""
        m, d = self._gaussian(shown).n or 0, self._features.size
        if m < 5 * d:
            return f"biased: {m} reference images, fewer than 5 d"
        return f"{m:,} reference images" if self.references not in ("", locate.EMBEDDED) else ""

    def value(self, shown: Shown) -> Value:
        """The distance of the set."""
        if not len(shown):
            return Missing(f"no prompt asks for one of the styles {', '.join(self._places)}")
        advice = "; style_cosine and cmmd(reference='FOLDER') do with fewer" if self.network.from_file else ""
        return frechet(shown, self._features, self.name, lambda: self._gaussian(shown), advice)

    def _gaussian(self, shown: Shown) -> "Gaussian":
        """The reference for the whole set's shares of the styles, whatever group is left out."""
        import numpy as np

        from benchmark.scorers.engine.distances import Gaussian

        asked = (styles.style_of(p) for p in shown.source.prompts if self.concerns(p))
        key = tuple(sorted(Counter(asked).items()))
        if key not in self._gaussians:
            whole = min(len(self._references[style]) / n for style, n in key)
            parts = [self._references[style][: max(1, int(whole * n))] for style, n in key]
            self._gaussians[key] = Gaussian.of(np.concatenate(parts))
        return self._gaussians[key]
