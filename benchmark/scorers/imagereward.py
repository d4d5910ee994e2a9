"""``imagereward``: a reward model that reads image and text together."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _weights
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._reward import Reward


@scorers.register()
class Imagereward(ImageScorer):
    r"""ImageReward: a reward model on BLIP that reads image and text together.

    $(\mathrm{MLP}(\mathrm{BLIP}(\text{image}, \text{text})) - \mu) / \sigma$, text cut at 35 tokens.

    Args:
        weights: ``embedded``, ``published`` (THUDM/ImageReward), or a folder.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "imagereward"
    axis: ClassVar[Axis] = "preference"
    scale: ClassVar[str] = "about -2..2"
    in_domain_for: ClassVar[tuple[str, ...]] = ("imagerewarddb",)
    bf16_tolerance: ClassVar[float] = 0.05
    reference: ClassVar[str] = "Xu et al., ImageReward, NeurIPS 2023; weights: THUDM/ImageReward"

    _model: "Reward"

    def __init__(self, weights: str = _weights.EMBEDDED, precision: str = "fp32") -> None:
        self.weights, self.precision = weights, precision

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-imagereward", "imagereward")

    @cached_property
    def weights_hash(self) -> str:
        """Of network and vocabulary."""
        return _weights.short_hash(self._place)

    def load(self, device: str = "cpu") -> None:
        """Reads the network and its tokenizer."""
        from benchmark.scorers._reward import Reward

        self._model = Reward(self._place, device, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        return self._model(shown)
