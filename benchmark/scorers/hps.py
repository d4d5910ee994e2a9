"""``hps``: human preference score v2."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _weights
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._open_clip import OpenClip


@scorers.register()
class Hps(ImageScorer):
    r"""HPS v2.1: 100 times the cosine of image and text, by a CLIP tuned on human rankings.

    $100 \cos(\text{image}, \text{text})$, no logit scale.

    Args:
        weights: ``embedded``, ``published`` (HPS_v2.1_compressed.pt), or an open_clip folder or file.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "hps"
    version: ClassVar[str] = "v2.1"
    axis: ClassVar[Axis] = "preference"
    bounds: ClassVar[tuple[float, float]] = (-100.0, 100.0)
    scale: ClassVar[str] = "x 100"
    in_domain_for: ClassVar[tuple[str, ...]] = ("hpd_v2",)
    bf16_tolerance: ClassVar[float] = 0.3
    reference: ClassVar[str] = "Wu et al., Human Preference Score v2, 2023; weights: xswu/HPSv2"

    _tower: "OpenClip"

    def __init__(self, weights: str = _weights.EMBEDDED, precision: str = "fp32") -> None:
        self.weights, self.precision = weights, precision

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-hps", "hps/HPS_v2.1_compressed.pt")

    @cached_property
    def weights_hash(self) -> str:
        """Of the model."""
        return _weights.short_hash(self._place)

    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model."""
        from benchmark.scorers._open_clip import OpenClip
        from benchmark.scorers._pool import shared
        from benchmark.scorers._preprocess import hps_pixels

        key = f"hps:{self.weights_hash}"
        self._tower = shared(OpenClip, self._place, "ViT-H-14", hps_pixels, device, key, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """100 times the cosine of each image and its prompt."""
        cosines = (self._tower.images(shown) * self._tower.prompts(shown)).sum(1)
        return [100 * float(c) for c in cosines]
