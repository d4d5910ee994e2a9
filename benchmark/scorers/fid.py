"""``fid``: how far is the set of images from the real ones?"""

from typing import TYPE_CHECKING, ClassVar

from benchmark.scorers.base import Shown, Value, scorers
from benchmark.scorers.engine.against import AgainstReference
from benchmark.scorers.engine.compared import Compared
from benchmark.scorers.engine.reference import Statistics

if TYPE_CHECKING:
    from benchmark.scorers.engine.frechet import Gaussian

BIASED = 10_000
"""Images below which a Frechet distance of Inception's features is known for its bias."""


@scorers.register()
class Fid(AgainstReference):
    r"""Frechet distance of features to those of a reference set; needs n >= 5 d.

    $\|\mu - \mu_r\|^2 + \mathrm{tr}(\Sigma + \Sigma_r - 2 (\Sigma \Sigma_r)^{1/2})$ in float64.
    """

    name: ClassVar[str] = "fid"
    version: ClassVar[str] = "2"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "lower is better"
    reference: ClassVar[str] = "Heusel et al., NeurIPS 2017; Inception v3 as in torch-fidelity"

    _to: "Gaussian"

    def prepare(self, reference: Compared) -> None:
        """Mean and covariance of the reference."""
        import torch

        from benchmark.scorers.engine.frechet import Gaussian

        held = reference.held
        if isinstance(held, Statistics):
            self._to = Gaussian(torch.from_numpy(held.mu), torch.from_numpy(held.sigma), held.n)
        else:
            self._to = Gaussian.of(held)

    def remark(self, shown: Shown) -> str:
        """Few images bias a Frechet distance upwards: of Inception's features below 10,000."""
        n, m, d = len(shown), self._to.n, self._features.size
        said = [f"biased: {n} images, fewer than {BIASED:,}"] if self.of_inception and n < BIASED else []
        few = f"biased: {m} reference images, fewer than 5 d" if m is not None and m < 5 * d else ""
        return "; ".join(part for part in (*said, few or super().remark(shown)) if part)

    def value(self, shown: Shown) -> Value:
        """The distance of the set."""
        return self.distance(shown, lambda: self._to)
