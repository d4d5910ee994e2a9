"""What scorers of a set's features against a reference set have in common; no torch."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from benchmark.core.records import Axis
from benchmark.scorers.engine import reference
from benchmark.scorers.engine.compared import Compared
from benchmark.scorers.engine.on_features import OnFeatures
from benchmark.scorers.engine.shown import Shown
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np


class AgainstReference(OnFeatures):
    """A scorer that compares a set with a reference set by features of either.

    Args:
        weights: ``embedded``, ``published`` (torch-fidelity's Inception v3), a folder with a feature network,
            or a file with Inception's weights.
        reference: ``embedded`` (2,000 renders), a folder of images, or an .npz of ``features`` (m, d), or of
            ``mu``, ``sigma`` and ``n`` where that suffices; must be given with Inception.
        features: Of Inception: 2048 (what published numbers mean), 768, 192 or 64, which want fewer images.
    """

    axis: ClassVar[Axis] = "fidelity"

    def __init__(
        self, weights: str = locate.EMBEDDED, reference: str = "", features: int | None = None
    ) -> None:
        self.weights, self.against, self.layer = weights, reference, features

    @final
    @cached_property
    def reference_path(self) -> Path | None:
        """The reference; None for renders.

        Raises:
            UserError: if it is not named or not there.
        """
        return reference.find(self.name, self.against, embedded=not self.of_inception)

    @final
    @cached_property
    def weights_hash(self) -> str:
        """Extractor with its resize, reference, and the hash of both."""
        path = self.reference_path
        known = locate.short_hash(self.place, references=[path] if path else [])
        return f"{self.extractor}-{reference.tag(path)}-{known}"

    @final
    def load(self, device: str = "cpu") -> None:
        """Reads the network, and the reference or what is known about it.

        Where one is needed and none is named the network is opened all the same, for `fbench weights
        verify`: rows have a version, and there is none without a reference.
        """
        from benchmark.scorers.engine.pool import shared

        self._features = self.open_features(device)
        if self.of_inception and not self.against:
            return
        self._compared = shared(Compared, self._features, self.reference_path)
        self.prepare(self._compared)

    @final
    def reference_features(self) -> "np.ndarray":
        """The reference's features (m, d), once loaded."""
        return self._compared.features(self.name)

    def remark(self, shown: Shown) -> str:  # noqa: ARG002
        """How many reference images there are, where a user named them."""
        return self._compared.remark()

    @abstractmethod
    def prepare(self, reference: Compared) -> None:
        """Computes what is fixed about the reference."""
