"""``lpips``: how different do the images of one prompt look?"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _weights
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._pairwise import Pairwise


@scorers.register()
class Lpips(PromptScorer):
    """Mean pairwise LPIPS among the images of one prompt.

    Args:
        weights: ``embedded``, or a folder with the whole network.
    """

    name: ClassVar[str] = "lpips"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "higher = more diverse"
    reference: ClassVar[str] = "Zhang et al., The Unreasonable Effectiveness of Deep Features, CVPR 2018"

    _distance: "Pairwise"

    def __init__(self, weights: str = _weights.EMBEDDED) -> None:
        self.weights = weights

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-perceptual")

    @cached_property
    def weights_hash(self) -> str:
        """Of the network."""
        return _weights.short_hash(self._place)

    def load(self, device: str = "cpu") -> None:
        """Reads the network."""
        from benchmark.scorers._pairwise import Pairwise

        self._distance = Pairwise(self._place, device)

    def value(self, shown: Shown) -> Value:
        """The mean distance of a pair."""
        if len(shown) < 2:
            return Missing("fewer than two images")
        return self._distance(shown)
