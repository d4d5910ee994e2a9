"""``oracle``: how much of its prompt does an image show?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import scorers
from benchmark.scorers.engine.oracle import TruthScorer

if TYPE_CHECKING:
    from benchmark.scorers.engine.truth import Truth


@scorers.register()
class Oracle(TruthScorer):
    """Share of the prompt's stated facts that the evaluating oracle reads in the image."""

    name: ClassVar[str] = "oracle"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"

    def part(self, truth: "Truth") -> float:
        """The share of the facts that are read."""
        return truth.oracle
