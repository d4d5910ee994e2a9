"""``oracle``: how much of its prompt does an image show?"""

from collections.abc import Sequence
from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _oracle
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers


@scorers.register()
class Oracle(ImageScorer):
    """Share of the prompt's stated facts that the evaluating oracle reads in the image."""

    name: ClassVar[str] = "oracle"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    in_domain_for: ClassVar[tuple[str, ...]] = ()
    reference: ClassVar[str] = "embedded"

    @property
    def weights_hash(self) -> str:
        """Of the evaluating oracle and its calibration."""
        return _oracle.truth_hash()

    def load(self, device: str = "cpu") -> None:  # noqa: ARG002  # it is small, and exact on the processor
        """Reads the oracle."""
        _oracle.load_truth()

    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        from benchmark.scorers._truth import truths

        return [float(truth.oracle) for truth in truths(shown)]
