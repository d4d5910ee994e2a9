"""``vqa``: asked whether the image shows the prompt, does a model answer yes?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.core.records import Axis
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.networks.blip import YesNo

TEXT: Final = "{text}"


@scorers.register()
class Vqa(locate.OpensWeights, ImageScorer):
    r"""Probability that a model which answers questions about images says yes.

    $P(\text{yes} \mid \text{image}, \text{question})$ of the answer's first token, over the whole vocabulary.
    Unlike a CLIP score it reads image and text together. A question is cut at 128 tokens. The embedded world
    comes without such a model.

    Args:
        weights: ``published`` (Salesforce/blip-vqa-base), or a folder with a BlipForQuestionAnswering and its
            ``vocab.txt``.
        question: With ``{text}`` where the prompt stands. It is part of the version.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "vqa"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    bf16_tolerance: ClassVar[float] = 0.05
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("blip-vqa-base",)}
    reference: ClassVar[str] = (
        "after Lin et al., VQAScore, ECCV 2024, with BLIP's own question answering (Li et al., ICML 2022)"
    )

    _model: "YesNo"

    def __init__(
        self,
        weights: str = locate.PUBLISHED,
        question: str = "does this picture show {text}?",
        precision: str = "fp32",
    ) -> None:
        if TEXT not in question:
            raise UserError(f"vqa: question={question!r} has no {TEXT}", do="put it where the prompt belongs")
        self.weights, self.question, self.precision = weights, question, precision

    def weight_paths(self) -> tuple[Path, ...]:
        """The model and its vocabulary."""
        return (locate.place_of_published(self.name, self.weights, "shapes-vqa", "blip-vqa-base"),)

    def full_hash(self, known: str) -> str:
        """Of the question and the model."""
        return f"{sha256_bytes(self.question.encode())[:4]}-{known}"

    def load(self, device: str = "cpu") -> None:
        """Reads model and tokenizer."""
        from benchmark.networks.blip import YesNo

        self._model = YesNo(self.place, self.question, device, self.precision)

    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        return self._model(shown.images, shown.texts)
