"""``vendi_set``: how many different images are there in the whole set?"""

from typing import ClassVar

from benchmark.core.records import Axis
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine.on_clip import OnClip


@scorers.register()
class VendiSet(OnClip, SetScorer):
    r"""Vendi score of all images of all prompts: the effective number of different ones for CLIP.

    $\exp(-\sum_i \lambda_i \log \lambda_i)$ as of ``vendi``. Most of it is the variety between prompts, which
    the prompt set brings along: a checkpoint that draws the same image whenever it is asked the same loses
    little. For the variety that a model gives to one prompt there is ``vendi``.

    Args:
        weights: As of ``clip``.
        model: As of ``clip``.
        precision: As of ``clip``.
    """

    name: ClassVar[str] = "vendi_set"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (1.0, None)
    scale: ClassVar[str] = "1..n, mostly between prompts"
    bf16_tolerance: ClassVar[float] = 0.5
    reference: ClassVar[str] = "Friedman & Dieng, The Vendi Score, TMLR 2023; embedding as clip"

    def look(self, shown: Shown) -> None:
        """Embeds images."""
        if len(shown):
            self._tower.images(shown)

    def value(self, shown: Shown) -> Value:
        """The effective number of images."""
        from benchmark.scorers.engine.spread import vendi

        if len(shown) < 2:
            return Missing("fewer than two images")
        return vendi(self._tower.images(shown))
