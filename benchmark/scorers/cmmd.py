"""``cmmd``: how far is the set of images from the real ones, as CLIP sees them?"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine.cache import shared
from benchmark.scorers.engine.features import AgainstReference
from benchmark.scorers.engine.references import Reference
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.networks.open_clip import OpenClip
    from benchmark.scorers.engine.distances import MmdTo

SCALE: Final = 1000
CLIP: Final = "clip-vit-l-14-336"
"""The release of the published weights."""


@scorers.register()
class Cmmd(AgainstReference, SetScorer):
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
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[str] = "x 1000; lower is better; 0 = the same distribution"
    bf16_tolerance: ClassVar[float] = 0.5
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": (CLIP,)}
    reference: ClassVar[str] = "Jayasumana et al., Rethinking FID, CVPR 2024, arXiv 2401.09603"

    _mmd: "MmdTo"

    def __init__(
        self,
        weights: str = locate.PUBLISHED,
        reference: str = "",
        model: str = "ViT-L-14-336-quickgelu",
        precision: str = "fp32",
    ) -> None:
        self.weights, self.compared_with = weights, reference
        self.model, self.precision = model, precision
        self.network = _Clip(weights, model, precision)

    def prepare(self, reference: Reference) -> None:
        """The kernel's mean within the reference."""
        from benchmark.scorers.engine.distances import MmdTo, gaussian

        self._mmd = MmdTo(reference.features(self.name), gaussian)

    def value(self, shown: Shown) -> Value:
        """The discrepancy of the set."""
        if len(shown) < 2:
            return Missing("fewer than two images")
        key = f"cmmd:{self.scorer_version}"
        sums, index = shown.once(key, lambda whole: self._mmd.sums(self.features(whole)))
        return SCALE * self._mmd.value(sums, index)


class _Clip:
    """The open_clip model, as `NetworkWeights`."""

    extractor = ""

    def __init__(self, weights: str, model: str, precision: str) -> None:
        self._weights, self._model, self._precision = weights, model, precision

    @property
    def place(self) -> Path:
        """A file, or a folder."""
        return locate.place("cmmd", self._weights, "shapes-clip", CLIP)

    @property
    def from_file(self) -> bool:
        """Whether it is a file."""
        return not self.place.is_dir()

    def open(self, device: str) -> "OpenClip":
        """The model; the embedded world's images are square, and then `clip` has the same embeddings."""
        from benchmark.networks.open_clip import OpenClip, clip_pixels, square_pixels

        pixels, key = (square_pixels, "cmmd") if self.from_file else (clip_pixels, "clip")
        key = f"{key}:{locate.short_hash(self.place)}"
        return shared(OpenClip, self.place, self._model, pixels, device, key, self._precision)
