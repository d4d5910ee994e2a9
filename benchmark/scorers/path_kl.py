"""``path_kl``: how far has training moved the model?"""

from typing import ClassVar

from benchmark.core.records import Axis, ScoreRow, Unit
from benchmark.scorers.base import Scorer, Shown, scorers

_UNMEASURED = "its path KL was not measured: `fbench eval --distance` does, for checkpoints and not for files"


@scorers.register()
class PathKl(Scorer):
    r"""KL in nats between the sampling paths of checkpoint and base model, unguided, eta = 1.

    $\sum_{t: \sigma_t > 0} \|\mu_\theta(x_t, c) - \mu_\mathrm{ref}(x_t, c)\|^2 / (2 \sigma_t^2)$ along a path
    of the checkpoint's own: exact for paths, an upper bound for images. Measured where the weights are at
    hand, by ``fbench eval --distance``, which takes as long as making the images.
    """

    name: ClassVar[str] = "path_kl"
    version: ClassVar[str] = "eta1-unguided"
    axis: ClassVar[Axis] = "distance"
    unit: ClassVar[Unit] = "image"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "nats, lower = nearer"
    reference: ClassVar[str] = "Fan et al., DPOK, NeurIPS 2023, for the KL of denoising paths"

    weights_hash = ""

    def load(self, device: str = "cpu") -> None:
        """Nothing to load: the numbers come with the images."""

    def rows(self, shown: Shown) -> list[ScoreRow]:
        """The number of each image's record.

        No image scorer, because those keep values by an image's content, and two checkpoints may make one
        image on different paths.
        """
        rows = self.faulty(shown)
        for row, record in zip(shown.rows, shown.records, strict=True):
            value = ValueError(_UNMEASURED) if record.path_kl is None else record.path_kl
            rows[row] = self.row(shown, value, record.prompt_id, record.seed)
        return [rows[row] for row in sorted(rows)]
