"""``true_reward``: what population 1 thinks of an image, known exactly."""

from collections.abc import Sequence
from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _oracle
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers


@scorers.register()
class TrueReward(ImageScorer):
    """Population 1's reward, content times bounded taste; its labels are the training pairs."""

    name: ClassVar[str] = "true_reward"
    axis: ClassVar[Axis] = "preference"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "see docs: embedded world"
    in_domain_for: ClassVar[tuple[str, ...]] = ("shapes-prefs",)
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

        return [float(truth.reward) for truth in truths(shown)]
