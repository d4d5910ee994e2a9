"""``true_reward_heldout``: what population 2 thinks of an image, known exactly."""

from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import scorers
from benchmark.scorers.engine.oracle import TruthScorer

if TYPE_CHECKING:
    from benchmark.scorers.engine.truth import Truth


@scorers.register()
class TrueRewardHeldout(TruthScorer):
    """Population 2's reward, content times bounded taste; it labelled no training pair."""

    name: ClassVar[str] = "true_reward_heldout"
    axis: ClassVar[Axis] = "preference"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "see docs: embedded world"

    def part(self, truth: "Truth") -> float:
        """The reward of population 2."""
        return truth.reward_heldout
