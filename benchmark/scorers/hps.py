"""``hps``: human preference score v2."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.scorers.engine.cache import shared
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.networks.open_clip import OpenClip


@scorers.register()
class Hps(locate.OpensWeights, ImageScorer):
    r"""HPS v2: 100 times the cosine of image and text, by a CLIP tuned on human rankings.

    $100 \cos(\text{image}, \text{text})$, no logit scale.

    Args:
        weights: ``embedded``, ``published``, or an open_clip folder or file.
        version: ``v2.1`` or ``v2.0``: which published weights. Numbers of the two are never in one table.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "hps"
    axis: ClassVar[Axis] = "preference"
    bounds: ClassVar[tuple[float, float]] = (-100.0, 100.0)
    scale: ClassVar[str] = "x 100"
    in_domain_for: ClassVar[tuple[str, ...]] = ("hpd_v2",)
    bf16_tolerance: ClassVar[float] = 0.3
    reference: ClassVar[str] = "Wu et al., Human Preference Score v2, 2023; weights: xswu/HPSv2"

    published: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "": ("hps-v2.1",),
        "version='v2.0'": ("hps-v2.0",),
    }
    version: str = "v2.1"  # type: ignore[misc]  # other scorers have one; here it is an option

    _clip: "OpenClip"

    def __init__(
        self, weights: str = locate.PUBLISHED, version: str = "v2.1", precision: str = "fp32"
    ) -> None:
        if version not in ("v2.1", "v2.0"):
            raise ValueError(f"version is {version!r}, and one of v2.1 and v2.0")
        if weights == locate.EMBEDDED and version != "v2.1":
            raise ValueError("the embedded weights stand for v2.1; v2.0 has published ones")
        self.weights, self.version, self.precision = weights, version, precision

    def weight_paths(self) -> tuple[Path, ...]:
        """The model."""
        return (locate.place(self.name, self.weights, "shapes-hps", f"hps-{self.version}"),)

    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model."""
        from benchmark.networks.open_clip import OpenClip, hps_pixels

        key = f"hps:{self.weights_hash}"
        self._clip = shared(OpenClip, self.place, "ViT-H-14", hps_pixels, device, key, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """100 times the cosine of each image and its prompt."""
        cosines = (shown.embeddings(self._clip) * shown.text_embeddings(self._clip)).sum(1)
        return [100 * float(c) for c in cosines]
