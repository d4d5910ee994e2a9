"""``imagereward``: a reward model that reads image and text together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.networks.blip import ImageReward


@scorers.register()
class Imagereward(locate.OpensWeights, ImageScorer):
    r"""ImageReward: a reward model on BLIP that reads image and text together.

    $(\mathrm{MLP}(\mathrm{BLIP}(\text{image}, \text{text})) - \mu) / \sigma$, text cut at 35 tokens.

    Args:
        weights: ``embedded``, ``published`` (THUDM/ImageReward with bert-base-uncased's vocabulary), or a
            folder with such files and ``tokenizer/vocab.txt``.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "imagereward"
    axis: ClassVar[Axis] = "preference"
    scale: ClassVar[str] = "about -2..2"
    in_domain_for: ClassVar[tuple[str, ...]] = ("imagerewarddb",)
    bf16_tolerance: ClassVar[float] = 0.05
    reference: ClassVar[str] = "Xu et al., ImageReward, NeurIPS 2023; weights: THUDM/ImageReward"

    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("imagereward", "bert-base-uncased")}

    _model: "ImageReward"

    def __init__(self, weights: str = locate.PUBLISHED, precision: str = "fp32") -> None:
        self.weights, self.precision = weights, precision

    @property
    def _place(self) -> Path:
        return locate.place(self.name, self.weights, "shapes-imagereward", "imagereward")

    @property
    def _tokenizer(self) -> Path:
        """The folder of the vocabulary: another release's, or inside the network's folder."""
        if self.weights == locate.PUBLISHED:
            return locate.place(self.name, self.weights, "", "bert-base-uncased").parent
        return self._place / "tokenizer"

    def weight_paths(self) -> tuple[Path, ...]:
        """The network, and a published one's vocabulary."""
        published = self.weights == locate.PUBLISHED
        return self._place, *([self._tokenizer / "vocab.txt"] if published else [])

    def load(self, device: str = "cpu") -> None:
        """Reads the network and its tokenizer."""
        from benchmark.networks.blip import ImageReward

        self._model = ImageReward(self._place, self._tokenizer, device, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        return self._model(shown.images, shown.texts)
