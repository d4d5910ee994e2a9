"""``true_reward``: what population 1 thinks of an image, known exactly."""

from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import scorers
from benchmark.scorers.engine.oracle import TruthScorer

if TYPE_CHECKING:
    from benchmark.scorers.engine.truth import Truth


@scorers.register()
class TrueReward(TruthScorer):
    """Population 1's reward, content times bounded taste; its labels are the training pairs."""

    name: ClassVar[str] = "true_reward"
    axis: ClassVar[Axis] = "preference"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "see docs: embedded world"
    in_domain_for: ClassVar[tuple[str, ...]] = ("shapes-prefs",)

    def part(self, truth: "Truth") -> float:
        """The reward of population 1."""
        return truth.reward
