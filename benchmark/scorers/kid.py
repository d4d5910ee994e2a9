"""``kid``: how far is the set of images from the real ones, without a bias for small sets?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import Missing, Shown, Value, scorers
from benchmark.scorers.engine.against import AgainstReference
from benchmark.scorers.engine.compared import Compared
from benchmark.scorers.engine.memo import about_whole

if TYPE_CHECKING:
    from benchmark.scorers.engine.mmd import MmdTo


@scorers.register()
class Kid(AgainstReference):
    r"""Kernel distance: unbiased squared MMD with $(x^\top y / d + 1)^3$ of features, over all images.

    No subsets are drawn, so it is the same number every time: the mean over all subsets, of which
    torch-fidelity draws a hundred. Unbiased, so it may be a little below zero.
    """

    name: ClassVar[str] = "kid"
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[str] = "lower is better; 0 = the same distribution"
    reference: ClassVar[str] = "Binkowski et al., ICLR 2018; Inception v3 as in torch-fidelity"

    _to: "MmdTo"

    def prepare(self, reference: Compared) -> None:
        """What the reference's images have in common with each other."""
        from benchmark.scorers.engine.mmd import MmdTo, polynomial

        self._to = MmdTo(reference.features(self.name), polynomial)

    def value(self, shown: Shown) -> Value:
        """The discrepancy of the set."""
        if len(shown) < 2:
            return Missing("fewer than two images")
        sums, index = about_whole(
            shown, f"kid:{self.weights_hash}", lambda whole: self._to.sums(self._features.of(whole))
        )
        return self._to.value(sums, index)
