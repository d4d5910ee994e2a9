"""``style_fd``: how far are the images from their styles' reference images?"""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.core.records import Axis, Prompt
from benchmark.scorers import _styles, _weights
from benchmark.scorers.base import Missing, SetScorer, Shown, Value, scorers

if TYPE_CHECKING:
    from benchmark.scorers._frechet import Features, FrechetTo


@scorers.register()
class StyleFd(SetScorer):
    """Frechet distance of the images of styled prompts to their styles' references; needs n >= 5 d.

    The references are taken in the proportion in which the prompt set asks for the styles.

    Args:
        weights: ``embedded``, or a folder with a feature network.
        references: ``embedded``, or a folder with ``shapes-style-STYLE.parquet`` files.
    """

    name: ClassVar[str] = "style_fd"
    axis: ClassVar[Axis] = "style"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "lower is better"
    reference: ClassVar[str] = "embedded style data; distance and features as fid"

    _features: "Features"
    _references: dict[str, Any]

    def __init__(self, weights: str = _weights.EMBEDDED, references: str = _weights.EMBEDDED) -> None:
        self.weights, self.references = weights, references
        self._distances: dict[tuple[tuple[str, int], ...], FrechetTo] = {}

    @property
    def _place(self) -> Path:
        return _weights.place(self.name, self.weights, "shapes-features")

    @cached_property
    def weights_hash(self) -> str:
        """Of the feature network and the reference images."""
        files = [_styles.style_file(style, self.references) for style in _styles.STYLES]
        return _weights.short_hash(self._place, *files)

    def load(self, device: str = "cpu") -> None:
        """Reads the network and the references' features."""
        import torch

        from benchmark.scorers._frechet import Features

        self._features = Features(self._place, device, f"features:{_weights.short_hash(self._place)}")
        self._references = {
            style: torch.stack(self._features.compute(_styles.style_images(style, self.references)))
            for style in _styles.STYLES
        }

    def concerns(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the styles."""
        return prompt.style in _styles.STYLES

    def look(self, shown: Shown) -> None:
        """Computes features."""
        if len(shown):
            self._features.of(shown)

    def value(self, shown: Shown) -> Value:
        """The distance of the set."""
        d = self._features.size
        if not len(shown):
            return Missing("no prompt asks for one of the styles")
        if len(shown) < 5 * d:
            return Missing(f"n < 5d: {len(shown)} images, d = {d}")
        return self._to(shown)(self._features.of(shown))

    def _to(self, shown: Shown) -> "FrechetTo":
        """The reference for the whole set's shares of the styles, whatever group is left out."""
        import torch

        from benchmark.scorers._frechet import FrechetTo

        shares = Counter(str(p.style) for p in shown.source.prompts if self.concerns(p))
        key = tuple(sorted(shares.items()))
        if key not in self._distances:
            whole = min(len(self._references[style]) / n for style, n in key)
            parts = [self._references[style][: max(1, int(whole * n))] for style, n in key]
            self._distances[key] = FrechetTo(torch.cat(parts))
        return self._distances[key]
