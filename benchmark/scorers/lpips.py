"""``lpips``: how different do the images of one prompt look?"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from benchmark.core.errors import UserError
from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.networks.perceptual import Pairwise

TRUNKS: Final = {"alex": "lpips-alex", "vgg": "lpips-vgg", "squeeze": "lpips-squeeze"}
"""The releases of torchvision's trunks; the lpips package brings the rest."""


@scorers.register()
class Lpips(locate.OpensWeights, PromptScorer):
    """Mean pairwise LPIPS among the images of one prompt.

    Twice the weighted variance of the trunk's unit features: K passes of the trunk and no pairs. LPIPS
    compares pixel by pixel: images of different sizes have none, and are not resized.

    Args:
        weights: ``embedded`` (on SqueezeNet), ``published`` (v0.1), a folder with the whole network, or a
            file with torchvision's trunk.
        net: ``alex``, ``vgg`` or ``squeeze``; empty: ``alex`` if published, else ``squeeze``.
    """

    name: ClassVar[str] = "lpips"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "higher = more diverse"
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "": (TRUNKS["alex"],),
        "net='vgg'": (TRUNKS["vgg"],),
        "net='squeeze'": (TRUNKS["squeeze"],),
    }
    reference: ClassVar[str] = "Zhang et al., The Unreasonable Effectiveness of Deep Features, CVPR 2018"

    _distance: "Pairwise"

    def __init__(self, weights: str = locate.PUBLISHED, net: str = "") -> None:
        whole = weights == locate.EMBEDDED or Path(weights).expanduser().is_dir()
        self.weights, self.net = weights, net or ("squeeze" if whole else "alex")
        if self.net not in TRUNKS:
            raise ValueError(f"net is {net!r}, and one of {', '.join(TRUNKS)}")
        if weights == locate.EMBEDDED and self.net != "squeeze":
            raise UserError(f"lpips: no embedded network on {net}", allowed="net='squeeze', or other weights")

    @property
    def _place(self) -> Path:
        return locate.place(self.name, self.weights, "shapes-perceptual", TRUNKS[self.net])

    def weight_paths(self) -> tuple[Path, ...]:
        """The whole network, or trunk and linear layers."""
        return self._place, *self._heads

    def full_hash(self, known: str) -> str:
        """Of the embedded network; else the net, and the hash of trunk and linear layers."""
        return known if self.weights == locate.EMBEDDED else f"{self.net}-{known}"

    @property
    def _heads(self) -> tuple[Path, ...]:
        """The linear layers, where a file holds the trunk alone; found without importing torch."""
        package = find_spec("lpips")
        if self._place.is_dir() or package is None or package.origin is None:
            return ()
        return (Path(package.origin).parent / "weights" / "v0.1" / f"{self.net}.pth",)

    def load(self, device: str = "cpu") -> None:
        """Reads the network."""
        from benchmark.networks.perceptual import Pairwise, load_perceptual, load_published_perceptual

        load = load_perceptual if self._place.is_dir() else load_published_perceptual
        self._distance = Pairwise(load(self._place, self.net), device)

    def value(self, shown: Shown) -> Value:
        """The mean distance of a pair."""
        if len(shown) < 2:
            return Missing("fewer than two images")
        sizes = sorted({image.shape[:2] for image in shown.images})
        if len(sizes) > 1:
            named = " and ".join(f"{height} x {width}" for height, width in sizes[:2])
            return Missing(f"images of {len(sizes)} sizes ({named}): LPIPS compares pixel by pixel")
        return self._distance(shown.images)

    def pair_distances(self, shown: Shown) -> "np.ndarray":
        """The distance of each pair."""
        return self._distance.pairs(shown.images)
