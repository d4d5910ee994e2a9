"""``fid``: how far is the set of images from the real ones?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import SetScorer, Shown, Value, scorers
from benchmark.scorers.engine.features import AgainstReference, frechet
from benchmark.scorers.engine.references import Reference, Statistics

if TYPE_CHECKING:
    from benchmark.scorers.engine.distances import Gaussian

BIASED = 10_000
"""Images below which a Frechet distance of Inception's features is known for its bias."""


@scorers.register()
class Fid(AgainstReference, SetScorer):
    r"""Frechet distance of features to those of a reference set; needs n >= 5 d.

    $\|\mu - \mu_r\|^2 + \mathrm{tr}(\Sigma + \Sigma_r - 2 (\Sigma \Sigma_r)^{1/2})$ in float64.
    """

    name: ClassVar[str] = "fid"
    version: ClassVar[str] = "2"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "lower is better"
    reference: ClassVar[str] = "Heusel et al., NeurIPS 2017; Inception v3 as in torch-fidelity"

    _gaussian: "Gaussian"

    def prepare(self, reference: Reference) -> None:
        """Mean and covariance of the reference."""
        import torch

        from benchmark.scorers.engine.distances import Gaussian

        held = reference.content
        if isinstance(held, Statistics):
            self._gaussian = Gaussian(torch.from_numpy(held.mu), torch.from_numpy(held.sigma), held.n)
        else:
            self._gaussian = Gaussian.of(held)

    def remark(self, shown: Shown) -> str:
        """Few images bias a Frechet distance upwards: of Inception's features below 10,000."""
        n, m, d = len(shown), self._gaussian.n, self._features.size
        said = [f"biased: {n} images, fewer than {BIASED:,}"] if self.network.from_file and n < BIASED else []
        few = f"biased: {m} reference images, fewer than 5 d" if m is not None and m < 5 * d else ""
        return "; ".join(part for part in (*said, few or super().remark(shown)) if part)

    def value(self, shown: Shown) -> Value:
        """The distance of the set."""
        return frechet(shown, self._features, self.name, lambda: self._gaussian)
