"""``cmmd``: how far is the set of images from the real ones, as CLIP sees them?"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine import reference
from benchmark.scorers.engine.compared import Compared
from benchmark.scorers.engine.memo import about_whole
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.mmd import MmdTo
    from benchmark.scorers.engine.open_clip import OpenClip

SCALE: Final = 1000
CLIP: Final = "clip-vit-l-14-336"
"""The release of the published weights."""


@scorers.register()
class Cmmd(SetScorer):
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

    _tower: "OpenClip"
    _to: "MmdTo"

    def __init__(
        self,
        weights: str = locate.EMBEDDED,
        reference: str = "",
        model: str = "ViT-L-14-336-quickgelu",
        precision: str = "fp32",
    ) -> None:
        self.weights, self.against = weights, reference
        self.model, self.precision = model, precision

    @property
    def _place(self) -> Path:
        return locate.place(self.name, self.weights, "shapes-clip", CLIP)

    @cached_property
    def _reference_path(self) -> Path | None:
        return reference.find(self.name, self.against, embedded=self._place.is_dir())

    @cached_property
    def weights_hash(self) -> str:
        """The reference, and the hash of model and reference."""
        path = self._reference_path
        known = locate.short_hash(self._place, references=[path] if path else [])
        return f"{reference.tag(path)}-{known}"

    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model and the reference; without one named, as `AgainstReference.load`."""
        from benchmark.scorers.engine.mmd import MmdTo, gaussian
        from benchmark.scorers.engine.open_clip import OpenClip
        from benchmark.scorers.engine.pool import shared
        from benchmark.scorers.engine.preprocess import clip_pixels, square_pixels

        # The embedded world's images are square, and then `clip` has the same embeddings.
        preprocess, key = (clip_pixels, "clip") if self._place.is_dir() else (square_pixels, "cmmd")
        key = f"{key}:{locate.short_hash(self._place)}"
        self._tower = shared(OpenClip, self._place, self.model, preprocess, device, key, self.precision)
        if not self._place.is_dir() and not self.against:
            return
        self._compared = Compared(self._tower, self._reference_path)
        self._to = MmdTo(self.reference_features(), gaussian)

    def reference_features(self) -> "np.ndarray":
        """The reference's embeddings (m, d), once loaded."""
        return self._compared.features(self.name)

    def look(self, shown: Shown) -> None:
        """Embeddings of a part of the set."""
        if len(shown):
            self._tower.images(shown)

    def remark(self, shown: Shown) -> str:  # noqa: ARG002
        """How many reference images there are, where a user named them."""
        return self._compared.remark()

    def value(self, shown: Shown) -> Value:
        """The discrepancy of the set."""
        if len(shown) < 2:
            return Missing("fewer than two images")
        sums, index = about_whole(
            shown, f"cmmd:{self.scorer_version}", lambda whole: self._to.sums(self._tower.images(whole))
        )
        return SCALE * self._to.value(sums, index)
