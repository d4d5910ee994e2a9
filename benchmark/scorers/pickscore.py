"""``pickscore``: which image would people pick?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core import resources
from benchmark.core.records import Axis
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.networks.hf_clip import HfClip


@scorers.register()
class Pickscore(locate.OpensWeights, ImageScorer):
    r"""PickScore: the scaled cosine of image and text, by a CLIP tuned on which image people picked.

    $e^{\tau} \cos(\text{image}, \text{text})$ with the learned scale.

    Args:
        weights: ``embedded``, ``published`` (yuvalkirstain/PickScore_v1, with the processor that its card
            names), or a folder.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "pickscore"
    axis: ClassVar[Axis] = "preference"
    scale: ClassVar[str] = "about 20"
    in_domain_for: ClassVar[tuple[str, ...]] = ("shapes-prefs", "pickapic")
    bf16_tolerance: ClassVar[float] = 0.3
    reference: ClassVar[str] = (
        "Kirstain et al., Pick-a-Pic, NeurIPS 2023; weights: yuvalkirstain/PickScore_v1"
    )

    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("pickscore", "pickscore-processor")}

    _clip: "HfClip"

    def __init__(self, weights: str = locate.PUBLISHED, precision: str = "fp32") -> None:
        self.weights, self.precision = weights, precision

    @property
    def _place(self) -> Path:
        return locate.place(self.name, self.weights, "shapes-pickscore", "pickscore")

    @property
    def _tokenizer(self) -> Path:
        """The published processor's, the folder's own, or the embedded world's."""
        if self.weights == locate.PUBLISHED:
            return locate.place(self.name, self.weights, "", "pickscore-processor")
        own = any((self._place / name).is_file() for name in ("vocab.json", "tokenizer.json"))
        return self._place if own else resources.shapes_weights("shapes-sd") / "tokenizer"

    def weight_paths(self) -> tuple[Path, ...]:
        """The model, and a published one's tokenizer."""
        return self._place, *([self._tokenizer] if self.weights == locate.PUBLISHED else [])

    def load(self, device: str = "cpu") -> None:
        """Reads the CLIPModel and its tokenizer."""
        from benchmark.networks.hf_clip import HfClip

        key = f"pickscore:{self.weights_hash}"
        self._clip = HfClip(self._place, self._tokenizer, device, key, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """The scaled cosine of each image and its prompt."""
        cosines = (shown.embeddings(self._clip) * shown.text_embeddings(self._clip)).sum(1)
        scale = self._clip.scale
        return [scale * float(c) for c in cosines]
