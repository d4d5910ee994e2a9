"""``true_diversity``: how varied are the images of one prompt, in what it leaves open?"""

from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers
from benchmark.scorers.engine.oracle import OracleScorer


@scorers.register()
class TrueDiversity(OracleScorer, PromptScorer):
    """Share of image pairs that differ in what the prompt leaves open, in units of the world's own."""

    name: ClassVar[str] = "true_diversity"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "1 = as varied as the world"

    def value(self, shown: Shown) -> Value:
        """The diversity of one prompt's images."""
        from benchmark.scorers.engine.truth import diversity

        found = diversity(shown) if len(shown) else None
        return Missing("fewer than two accepted images") if found is None else found
