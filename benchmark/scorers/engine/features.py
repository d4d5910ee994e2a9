"""Scorers of a set's features, and of its distance to a reference set; no torch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, final

from benchmark.core.errors import UserError
from benchmark.core.records import Axis
from benchmark.core.words import number_of
from benchmark.scorers.engine import references
from benchmark.scorers.engine.cache import shared
from benchmark.scorers.engine.images import Shown
from benchmark.scorers.engine.values import Missing, Value
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.networks.features import Features
    from benchmark.networks.inference import Embedder
    from benchmark.scorers.engine.distances import Gaussian

INCEPTION: Final = "inception"
"""The release of the published weights."""

PUBLISHED: Final[Mapping[str, tuple[str, ...]]] = {"": (INCEPTION,)}


class FeatureWeights:
    """Which feature network a scorer uses: Inception v3, or the embedded one.

    Args:
        scorer: Whose, for messages.
        weights: ``embedded``, ``published``, a folder with a feature network, or Inception's weights.
        layer: Features of Inception; None: 2048.
    """

    def __init__(self, scorer: str, weights: str, layer: int | None) -> None:
        self._scorer, self._weights, self._layer = scorer, weights, layer

    @property
    def place(self) -> Path:
        """The network."""
        return locate.place(self._scorer, self._weights, "shapes-features", INCEPTION)

    @cached_property
    def from_file(self) -> bool:
        """Whether the features are Inception's, whose weights are a file.

        Raises:
            UserError: if a layer of Inception is named where it is not used.
        """
        if self.place.is_dir() and self._layer is not None:
            raise UserError(
                f"scorer {self._scorer}: features={self._layer} with {self.place.name}",
                allowed="only with Inception's weights",
                do="leave it out",
            )
        return not self.place.is_dir()

    @property
    def extractor(self) -> str:
        """Network, layer and resize, as a part of versions."""
        return f"inception{self._layer or 2048}_tf299" if self.from_file else "shapes"

    def open(self, device: str) -> "Features":
        """The network, in memory once for all scorers."""
        from benchmark.networks.features import Features

        key = f"features:{self.extractor}:{locate.short_hash(self.place)}"
        return shared(Features, self.place, device, key, self._layer or 2048)


class NetworkWeights(Protocol):
    """The network that a scorer against a reference uses."""

    @property
    def place(self) -> Path:
        """Its weights."""

    @property
    def from_file(self) -> bool:
        """Whether they are a file, as published; then the embedded world's renders are no reference."""

    @property
    def extractor(self) -> str:
        """Its name as a part of versions; may be empty."""

    def open(self, device: str) -> "Embedder":
        """The network, in memory once for all scorers."""


class AgainstReference(ABC):
    """Mixin of a scorer that compares a set with a reference set by features of either.

    Args:
        weights: ``embedded``, ``published`` (torch-fidelity's Inception v3), a folder with a feature network,
            or a file with Inception's weights.
        reference: ``embedded`` (2,000 renders), a folder of images, or an .npz of ``features`` (m, d), or of
            ``mu``, ``sigma`` and ``n`` where that suffices; must be given with Inception.
        features: Of Inception: 2048 (what published numbers mean), 768, 192 or 64, which want fewer images.
    """

    name: ClassVar[str]
    axis: ClassVar[Axis] = "fidelity"
    published: ClassVar[Mapping[str, tuple[str, ...]]] = PUBLISHED

    network: NetworkWeights
    _features: "Embedder"
    _reference: references.Reference

    def __init__(
        self, weights: str = locate.PUBLISHED, reference: str = "", features: int | None = None
    ) -> None:
        self.weights, self.compared_with = weights, reference
        self.network = FeatureWeights(self.name, weights, features)

    @final
    @cached_property
    def reference_path(self) -> Path | None:
        """The reference; None for renders.

        Raises:
            UserError: if it is not named or not there.
        """
        return references.find(self.name, self.compared_with, embedded=not self.network.from_file)

    @final
    @cached_property
    def weights_hash(self) -> str:
        """Extractor with its resize, reference, and the hash of both."""
        path = self.reference_path
        known = locate.short_hash(self.network.place, references=[path] if path else [])
        return "-".join(filter(None, (self.network.extractor, references.tag(path), known)))

    @final
    def load(self, device: str = "cpu") -> None:
        """Reads the network, and the reference or what is known about it.

        Where one is needed and none is named the network is opened all the same, for `fbench weights
        verify`: rows have a version, and there is none without a reference.
        """
        self._features = self.network.open(device)
        if self.network.from_file and not self.compared_with:
            return
        self._reference = shared(references.Reference, self._features, self.reference_path)
        self.prepare(self._reference)

    @final
    def features(self, shown: Shown) -> "np.ndarray":
        """Features of the images, (n, d), shared by whoever asks."""
        return shown.embeddings(self._features)

    @final
    def look(self, shown: Shown) -> None:
        """Features of a part of the set."""
        if len(shown):
            self.features(shown)

    @final
    def reference_features(self) -> "np.ndarray":
        """The reference's features (m, d), once loaded."""
        return self._reference.features(self.name)

    def remark(self, shown: Shown) -> str:  # noqa: ARG002
        """How many reference images there are, where a user named them."""
        return self._reference.remark()

    @abstractmethod
    def prepare(self, reference: references.Reference) -> None:
        """Computes what is fixed about the reference."""


def frechet(
    shown: Shown, features: "Embedder", scorer: str, to: "Callable[[], Gaussian]", advice: str = ""
) -> Value:
    """Frechet distance of a set, or of a part of one that has enough images: n >= 5 d.

    Args:
        shown: The images.
        features: The network.
        scorer: Who asks.
        to: Gives the reference's Gaussian.
        advice: For whoever has too few images.
    """
    from benchmark.scorers.engine.distances import Moments, frechet_distance

    n, d = len(shown), features.size
    if n > 1:
        key = f"moments:{scorer}:{features.key}"
        moments, index = shown.once(key, lambda whole: Moments(whole.embeddings(features)))
        # Of the whole set: what a jackknife leaves of just enough images is still enough.
        if len(moments) >= 5 * d:
            return frechet_distance(moments.gaussian(index), to())
    return Missing(f"n < 5d: {number_of(n, 'image')}, d = {d}{advice}")
