"""What scorers of a set's features against a reference set have in common; no torch."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from benchmark.core.errors import UserError
from benchmark.core.records import Axis
from benchmark.scorers import _reference, _weights
from benchmark.scorers.base import SetScorer, Shown

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers._features import Features
    from benchmark.scorers._prdc import Neighbours

INCEPTION = "inception/pt_inception-2015-12-05-6726825d.pth"
"""The published weights, below the folder of all of them."""


class AgainstReference(SetScorer):
    """A scorer that compares a set with a reference set by features of either.

    Args:
        weights: ``embedded``, ``published`` (torch-fidelity's Inception v3), a folder with a feature network,
            or a file with Inception's weights.
        reference: ``embedded`` (2,000 renders), a folder of images, or an .npz of ``features`` (m, d), or of
            ``mu``, ``sigma`` and ``n`` where that suffices; must be given with Inception.
        features: Of Inception: 2048 (what published numbers mean), 768, 192 or 64, which want fewer images.
    """

    axis: ClassVar[Axis] = "fidelity"
    version: ClassVar[str] = "2"

    _features: "Features"

    def __init__(
        self, weights: str = _weights.EMBEDDED, reference: str = "", features: int | None = None
    ) -> None:
        self.weights, self.against, self.layer = weights, reference, features

    @final
    @property
    def place(self) -> Path:
        """The network."""
        return _weights.place(self.name, self.weights, "shapes-features", INCEPTION)

    @final
    @cached_property
    def of_inception(self) -> bool:
        """Whether the features are Inception's.

        Raises:
            UserError: if a layer of Inception is named where it is not used.
        """
        if self.place.is_dir() and self.layer is not None:
            raise UserError(
                f"scorer {self.name}: features={self.layer} with {self.place.name}",
                allowed="only with Inception's weights",
                do="leave it out",
            )
        return not self.place.is_dir()

    @final
    @cached_property
    def reference_path(self) -> Path | None:
        """The reference; None for renders.

        Raises:
            UserError: if it is not named or not there.
        """
        return _reference.find(self.name, self.against, embedded=not self.of_inception)

    @final
    @cached_property
    def weights_hash(self) -> str:
        """Extractor with its resize, reference, and the hash of both."""
        extractor = f"inception{self.layer or 2048}_tf299" if self.of_inception else "shapes"
        known = [path for path in (self.place, self.reference_path) if path is not None]
        return f"{extractor}-{_reference.tag(self.reference_path)}-{_weights.short_hash(*known)}"

    @final
    def load(self, device: str = "cpu") -> None:
        """Reads the network, and the reference or what is known about it."""
        from benchmark.scorers._features import Features
        from benchmark.scorers._pool import shared

        key = f"features:{_weights.short_hash(self.place)}"
        key += f":{self.layer or 2048}" if self.of_inception else ""
        self._features = shared(Features, self.place, device, key, self.layer or 2048)
        self._compared = shared(Compared, self._features, self.reference_path)
        self.prepare(self._compared)

    @abstractmethod
    def prepare(self, reference: "Compared") -> None:
        """Computes what is fixed about the reference."""

    @final
    def look(self, shown: Shown) -> None:
        """Features of a part of the set."""
        self._features.of(shown)


class Compared:
    """A reference set as the scorers of one network see it, in memory once for all of them.

    Args:
        features: The network.
        path: A folder of images, an .npz, or None for renders.
    """

    def __init__(self, features: "Features", path: Path | None) -> None:
        self._network, self._path = features, path
        self._neighbours: Neighbours | None = None

    @cached_property
    def held(self) -> "np.ndarray | _reference.Statistics":
        """Features (m, d), or their statistics.

        Raises:
            UserError: if they cannot be read, or are of another network.
        """
        path = self._path
        if path is None or path.is_dir():
            return self._network.of_images(_reference.images(path))
        held = _reference.read_npz(path)
        d = held.mu.size if isinstance(held, _reference.Statistics) else held.shape[1]
        if d != self._network.size:
            raise UserError(
                f"the reference {path} has {d} features", allowed=f"{self._network.size}, as the network"
            )
        return held

    def features(self, scorer: str) -> "np.ndarray":
        """Features (m, d).

        Raises:
            UserError: if only their statistics are known.
        """
        if isinstance(self.held, _reference.Statistics):
            raise UserError(
                f"scorer {scorer} compares image by image, and {self._path} holds mu and sigma",
                allowed="a folder of images, or an .npz of features",
            )
        return self.held

    def neighbours(self, k: int) -> "Neighbours":
        """The balls that reach to each image's k-th neighbour, computed once for all who ask."""
        from benchmark.scorers._prdc import Neighbours

        if self._neighbours is None or self._neighbours.k != k:
            self._neighbours = Neighbours(self.features("prdc"), k)
        return self._neighbours
