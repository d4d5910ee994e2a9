"""``true_reward_heldout``: what population 2 thinks of an image, known exactly."""

from collections.abc import Sequence
from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers import _oracle
from benchmark.scorers.base import ImageScorer, Shown, Value, scorers


@scorers.register()
class TrueRewardHeldout(ImageScorer):
    """Population 2's reward, content times bounded taste; it labelled no training pair."""

    name: ClassVar[str] = "true_reward_heldout"
    axis: ClassVar[Axis] = "preference"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "see docs: embedded world"
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

        return [float(truth.reward_heldout) for truth in truths(shown)]
