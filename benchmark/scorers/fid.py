"""``fid``: how far is the set of images from the real ones?"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _weights
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._frechet import Features, FrechetTo


@scorers.register()
class Fid(SetScorer):
    """Frechet distance to 2,000 renders of the embedded world, on features with small d; needs n >= 5 d.

    Args:
        weights: ``embedded``, or a folder with a feature network.
    """

    name: ClassVar[str] = "fid"
    version: ClassVar[str] = "1-renders2000"
    axis: ClassVar[Axis] = "fidelity"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "lower is better"
    reference: ClassVar[str] = (
        "Heusel et al., NeurIPS 2017, by torchmetrics; embedded features and references"
    )

    _features: "Features"
    _distance: "FrechetTo"

    def __init__(self, weights: str = _weights.EMBEDDED) -> None:
        self.weights = weights

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-features")

    @cached_property
    def weights_hash(self) -> str:
        """Of the feature network."""
        return _weights.short_hash(self._place)

    def load(self, device: str = "cpu") -> None:
        """Reads the network and draws the reference."""
        import torch

        from benchmark.scorers._frechet import Features, FrechetTo
        from benchmark.scorers._renders import renders

        self._features = Features(self._place, device, f"features:{self.weights_hash}")
        self._distance = FrechetTo(torch.stack(self._features.compute(renders())))

    def look(self, shown: Shown) -> None:
        """Computes features."""
        if len(shown):
            self._features.of(shown)

    def value(self, shown: Shown) -> Value:
        """The distance of the set."""
        d = self._features.size
        if len(shown) < 5 * d:
            return Missing(f"n < 5d: {len(shown)} images, d = {d}")
        return self._distance(self._features.of(shown))
