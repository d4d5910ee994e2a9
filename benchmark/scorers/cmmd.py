"""``cmmd``: how far is the set of images from the real ones, as CLIP sees them?"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine import references
from benchmark.scorers.engine.cache import shared
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.networks.open_clip import OpenClip
    from benchmark.scorers.engine.distances import MmdTo

SCALE: Final = 1000
CLIP: Final = "clip-vit-l-14-336"
"""The release of the published weights."""


@scorers.register()
class Cmmd(locate.OpensWeights, SetScorer):
    r"""CLIP distance: 1000 times the unbiased squared MMD of unit embeddings, Gaussian kernel with sigma 10.

    The paper's Eq. 4; it may be a little below zero. The released code keeps the pairs of an image with
    itself, which adds less than $20 (1/n + 1/m)$. Images: the centred square, bicubic to 336.

    Args:
        weights: ``embedded``, ``published`` (ViT-L-14-336 of OpenAI), or an open_clip folder or file.
        reference: ``embedded`` (2,000 renders), a folder of images, or an .npz of ``features`` (m, d); must
            be given unless the weights are embedded or a folder.
        model: open_clip's name of the architecture of a file.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "cmmd"
    axis: ClassVar[Axis] = "fidelity"
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[str] = "x 1000; lower is better; 0 = the same distribution"
    bf16_tolerance: ClassVar[float] = 0.5
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": (CLIP,)}
    reference: ClassVar[str] = "Jayasumana et al., Rethinking FID, CVPR 2024, arXiv 2401.09603"

    _clip: "OpenClip"
    _reference: references.Reference
    _mmd: "MmdTo"

    def __init__(
        self,
        weights: str = locate.EMBEDDED,
        reference: str = "",
        model: str = "ViT-L-14-336-quickgelu",
        precision: str = "fp32",
    ) -> None:
        self.weights, self.compared_with = weights, reference
        self.model, self.precision = model, precision

    @property
    def _place(self) -> Path:
        return locate.place(self.name, self.weights, "shapes-clip", CLIP)

    @cached_property
    def _reference_path(self) -> Path | None:
        return references.find(self.name, self.compared_with, embedded=self._place.is_dir())

    def weight_paths(self) -> tuple[Path, ...]:
        """The model."""
        return (self._place,)

    def reference_paths(self) -> Iterable[Path]:
        """The reference, unless it is of renders."""
        return [self._reference_path] if self._reference_path else []

    def full_hash(self, known: str) -> str:
        """The reference, and the hash of model and reference."""
        return f"{references.tag(self._reference_path)}-{known}"

    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model and the reference; without one named, as `AgainstReference.load`."""
        from benchmark.networks.open_clip import OpenClip, clip_pixels, square_pixels
        from benchmark.scorers.engine.distances import MmdTo, gaussian

        # The embedded world's images are square, and then `clip` has the same embeddings.
        pixels, key = (clip_pixels, "clip") if self._place.is_dir() else (square_pixels, "cmmd")
        key = f"{key}:{locate.short_hash(self._place)}"
        self._clip = shared(OpenClip, self._place, self.model, pixels, device, key, self.precision)
        if not self._place.is_dir() and not self.compared_with:
            return
        self._reference = references.Reference(self._clip, self._reference_path)
        self._mmd = MmdTo(self.reference_features(), gaussian)

    def reference_features(self) -> "np.ndarray":
        """The reference's embeddings (m, d), once loaded."""
        return self._reference.features(self.name)

    def look(self, shown: Shown) -> None:
        """Embeddings of a part of the set."""
        if len(shown):
            shown.embeddings(self._clip)

    def remark(self, shown: Shown) -> str:  # noqa: ARG002
        """How many reference images there are, where a user named them."""
        return self._reference.remark()

    def value(self, shown: Shown) -> Value:
        """The discrepancy of the set."""
        if len(shown) < 2:
            return Missing("fewer than two images")
        sums, index = shown.once(
            f"cmmd:{self.scorer_version}", lambda whole: self._mmd.sums(whole.embeddings(self._clip))
        )
        return SCALE * self._mmd.value(sums, index)
