"""``true_diversity``: how varied are the images of one prompt, in what it leaves open?"""

from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _oracle
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers


@scorers.register()
class TrueDiversity(PromptScorer):
    """Share of image pairs that differ in what the prompt leaves open, in units of the world's own."""

    name: ClassVar[str] = "true_diversity"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "1 = as varied as the world"
    reference: ClassVar[str] = "embedded"

    @property
    def weights_hash(self) -> str:
        """Of the evaluating oracle and its calibration."""
        return _oracle.truth_hash()

    def load(self, device: str = "cpu") -> None:  # noqa: ARG002  # it is small, and exact on the processor
        """Reads the oracle."""
        _oracle.load_truth()

    def value(self, shown: Shown) -> Value:
        """The diversity of one prompt's images."""
        from benchmark.scorers._truth import diversity

        found = diversity(shown) if len(shown) else None
        return Missing("fewer than two accepted images") if found is None else found
