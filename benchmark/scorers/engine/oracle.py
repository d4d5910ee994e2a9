"""What the scorers of the embedded truth have in common besides the truth itself; no torch."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, final

from benchmark.core import resources
from benchmark.scorers.base import ImageScorer, Scorer, Shown, Value
from benchmark.weights.locate import short_hash

if TYPE_CHECKING:
    from benchmark.scorers.engine.truth import Truth


class OracleScorer(Scorer):
    """A scorer that stands on the evaluating oracle and its calibration."""

    reference: ClassVar[str] = "embedded"

    @final
    @property
    def weights_hash(self) -> str:
        """Of the evaluating oracle and its calibration."""
        return short_hash(resources.shapes_weights("oracle"), resources.shapes_weights("truth/oracle.json"))

    @final
    def load(self, device: str = "cpu") -> None:  # noqa: ARG002  # it is small, and exact on the processor
        """Reads both, so that a fault shows before the first image."""
        from benchmark.shapes.truth import load_judge

        load_judge()


class TruthScorer(OracleScorer, ImageScorer):
    """A scorer whose number is one part of the truth about an image."""

    @abstractmethod
    def part(self, truth: "Truth") -> float:
        """The number for one image."""

    @final
    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        from benchmark.scorers.engine.truth import truths

        return [float(self.part(truth)) for truth in truths(shown)]
