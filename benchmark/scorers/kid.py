"""``kid``: how far is the set of images from the real ones, without a bias for small sets?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine.features import AgainstReference
from benchmark.scorers.engine.references import Reference

if TYPE_CHECKING:
    from benchmark.scorers.engine.distances import MmdTo


@scorers.register()
class Kid(AgainstReference, SetScorer):
    r"""Kernel distance: unbiased squared MMD with $(x^\top y / d + 1)^3$ of features, over all images.

    No subsets are drawn, so it is the same number every time: the mean over all subsets, of which
    torch-fidelity draws a hundred. Unbiased, so it may be a little below zero.
    """

    name: ClassVar[str] = "kid"
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[str] = "lower is better; 0 = the same distribution"
    reference: ClassVar[str] = "Binkowski et al., ICLR 2018; Inception v3 as in torch-fidelity"

    _mmd: "MmdTo"

    def prepare(self, reference: Reference) -> None:
        """The kernel's mean within the reference."""
        from benchmark.scorers.engine.distances import MmdTo, polynomial

        self._mmd = MmdTo(reference.features(self.name), polynomial)

    def value(self, shown: Shown) -> Value:
        """The discrepancy of the set."""
        if len(shown) < 2:
            return Missing("fewer than two images")
        key = f"kid:{self.weights_hash}"
        sums, index = shown.once(key, lambda whole: self._mmd.sums(self.features(whole)))
        return self._mmd.value(sums, index)
