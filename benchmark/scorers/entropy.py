"""``entropy``: how many grey levels does an image use, and how evenly?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB


@scorers.register()
class Entropy(ImageScorer):
    r"""Entropy of an image's grey levels, in bits.

    $-\sum_{g=0}^{255} p_g \log_2 p_g$ with the share of pixels of each level of Pillow's grey (ITU-R 601-2).
    Noise maximises it, so it says nothing about quality or variety and stands on no trade-off plot.
    """

    name: ClassVar[str] = "entropy"
    axis: ClassVar[Axis] = "texture"
    bounds: ClassVar[tuple[float, float]] = (0.0, 8.0)
    scale: ClassVar[str] = "bits, noise = 8"
    reference: ClassVar[str] = "Shannon entropy of the grey-level histogram"
    weights_hash = ""

    def load(self, device: str = "cpu") -> None:
        """There is nothing to load."""

    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        return [grey_entropy(image) for image in shown.images]


def grey_entropy(image: "RGB") -> float:
    r"""$-\sum_g p_g \log_2 p_g$ over the 256 grey levels, in bits."""
    import numpy as np
    from PIL import Image

    p = np.array(Image.fromarray(image).convert("L").histogram()) / image[..., 0].size
    p = p[p > 0]
    return float(max(0.0, -(p * np.log2(p)).sum()))
