"""What scorers of a set's features have in common; no torch."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, final

from benchmark.core.errors import UserError
from benchmark.scorers.base import Missing, SetScorer, Shown, Value
from benchmark.scorers.engine.memo import about_whole
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.scorers.engine.features import Features
    from benchmark.scorers.engine.frechet import Gaussian

INCEPTION: Final = "inception"
"""The release of the published weights."""


class OnFeatures(SetScorer):
    """A scorer of a set that looks at features only: those of Inception v3, or the embedded network's.

    Attributes:
        weights: ``embedded``, ``published``, a folder with a feature network, or Inception's weights.
        layer: Features of Inception; None: 2048.
    """

    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": (INCEPTION,)}

    weights: str
    layer: int | None
    _features: "Features"

    @final
    @property
    def place(self) -> Path:
        """The network."""
        return locate.place(self.name, self.weights, "shapes-features", INCEPTION)

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
    @property
    def extractor(self) -> str:
        """Network, layer and resize, as a part of versions."""
        return f"inception{self.layer or 2048}_tf299" if self.of_inception else "shapes"

    @final
    def open_features(self, device: str) -> "Features":
        """The network, in memory once for all scorers."""
        from benchmark.scorers.engine.features import Features
        from benchmark.scorers.engine.pool import shared

        key = f"features:{self.extractor}:{locate.short_hash(self.place)}"
        return shared(Features, self.place, device, key, self.layer or 2048)

    @final
    def distance(self, shown: Shown, to: "Callable[[], Gaussian]", advice: str = "") -> Value:
        """Frechet distance of a set, or of a part of one that has enough images: n >= 5 d.

        Args:
            shown: The images.
            to: Gives the reference's Gaussian.
            advice: For whoever has too few images.
        """
        from benchmark.scorers.engine.frechet import Moments, frechet_distance

        n, d = len(shown), self._features.size
        key = f"moments:{self.name}:{self._features.key}"
        if n > 1:
            moments, index = about_whole(shown, key, lambda whole: Moments(self._features.of(whole)))
            # Of the whole set: what a jackknife leaves of just enough images is still enough.
            if len(moments) >= 5 * d:
                return frechet_distance(moments.gaussian(index), to())
        return Missing(f"n < 5d: {n} images, d = {d}{advice}")

    @final
    def look(self, shown: Shown) -> None:
        """Features of a part of the set."""
        if len(shown):
            self._features.of(shown)
