"""``style_fd``: how far are the images from their styles' reference images?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.notices import notice
from benchmark.core.records import Axis, Prompt
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine import styles
from benchmark.scorers.engine.features import PUBLISHED, FeatureWeights, frechet
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.networks.features import Features
    from benchmark.scorers.engine.distances import Gaussian


@scorers.register()
class StyleFd(locate.OpensWeights, SetScorer):
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
    axis: ClassVar[Axis] = "style"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "lower is better"
    reference: ClassVar[str] = "Diffusion-RPO (Gu et al., 2024) in our reading; distance and features as fid"

    published: ClassVar[Mapping[str, tuple[str, ...]]] = PUBLISHED

    _features: "Features"
    _references: Mapping[str, "np.ndarray"]

    def __init__(
        self, weights: str = locate.EMBEDDED, references: str = "", features: int | None = None
    ) -> None:
        self.weights, self.references = weights, references
        self.network = FeatureWeights(self.name, weights, features)
        self._gaussians: dict[tuple[tuple[str, int], ...], Gaussian] = {}

    @cached_property
    def _places(self) -> Mapping[str, Path]:
        return styles.style_places(self.name, self.references, embedded=not self.network.from_file)

    def weight_paths(self) -> tuple[Path, ...]:
        """The feature network."""
        return (self.network.place,)

    def reference_paths(self) -> Iterable[Path]:
        """The styles' images."""
        return self._places.values()

    def full_hash(self, known: str) -> str:
        """Of feature network, reference images and style names; Inception's layer and resize before it."""
        known = styles.hash_with_names(known, self._places)
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

    def concerns(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the styles."""
        return styles.style_of(prompt) in self._places

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
