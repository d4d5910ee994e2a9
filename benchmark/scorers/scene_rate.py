"""``scene_rate``: is the picture a scene at all?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import scorers
from benchmark.scorers.engine.oracle import TruthScorer

if TYPE_CHECKING:
    from benchmark.scorers.engine.truth import Truth


@scorers.register()
class SceneRate(TruthScorer):
    """1 if drawing again what the oracle read leaves as little as an autoencoder would, else 0."""

    name: ClassVar[str] = "scene_rate"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"

    def part(self, truth: "Truth") -> float:
        """Whether it is a scene."""
        return truth.scene
