"""Scorers that state the truth about images of the embedded world, which is known exactly.

``oracle``, ``scene_rate``, ``true_taste`` and ``true_taste_heldout``, ``true_reward`` and
``true_reward_heldout``, ``true_diversity``, ``true_style``.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from benchmark.core import resources
from benchmark.core.records import Axis, Prompt
from benchmark.scorers.base import ImageScorer, Missing, PromptScorer, Shown, Value, scorers
from benchmark.scorers.engine.styles import style_of
from benchmark.shapes.vocabulary import STYLES, names
from benchmark.weights.locate import OpensWeights

if TYPE_CHECKING:
    import numpy as np

    from benchmark.scorers.engine.truth import Truth


class _Judged(OpensWeights):
    """Mixin of a scorer that stands on the evaluating oracle and its calibration."""

    reference: ClassVar[str] = "embedded"

    @final
    def weight_paths(self) -> tuple[Path, ...]:
        """The evaluating oracle and its calibration."""
        return resources.oracle_weights()

    @final
    def load(self, device: str = "cpu") -> None:  # noqa: ARG002  # it is small, and exact on the processor
        """Reads both, so that a fault shows before the first image."""
        from benchmark.shapes.truth import load_judge

        load_judge()


@scorers.register()
class Oracle(_Judged, ImageScorer):
    """Share of the prompt's stated facts that the evaluating oracle reads in the image."""

    name: ClassVar[str] = "oracle"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"

    def values(self, shown: Shown) -> Sequence[Value]:
        """The share of the facts that are read."""
        return [float(truth.oracle) for truth in _truths(shown)]


@scorers.register()
class SceneRate(_Judged, ImageScorer):
    """1 if drawing again what the oracle read leaves as little as an autoencoder would, else 0."""

    name: ClassVar[str] = "scene_rate"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"

    def values(self, shown: Shown) -> Sequence[Value]:
        """Whether it is a scene."""
        return [float(truth.scene) for truth in _truths(shown)]


class _OfAnnotators(_Judged, ImageScorer):
    """Mixin of what the annotators think; its version is raised with their likings."""

    axis: ClassVar[Axis] = "preference"
    version: ClassVar[str] = "2"


@scorers.register()
class TrueTaste(_OfAnnotators):
    """Population 1's liking for what the prompt leaves open, of images that show all that it states."""

    name: ClassVar[str] = "true_taste"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"
    in_domain_for: ClassVar[tuple[str, ...]] = ("shapes-prefs",)

    def values(self, shown: Shown) -> Sequence[Value]:
        """The taste of population 1."""
        return [_tasted(truth, truth.taste) for truth in _truths(shown)]


@scorers.register()
class TrueTasteHeldout(_OfAnnotators):
    """Population 2's liking for what the prompt leaves open; it labelled no training pair."""

    name: ClassVar[str] = "true_taste_heldout"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"

    def values(self, shown: Shown) -> Sequence[Value]:
        """The taste of population 2."""
        return [_tasted(truth, truth.taste_heldout) for truth in _truths(shown)]


@scorers.register()
class TrueReward(_OfAnnotators):
    """Population 1's reward, content times bounded taste; its labels are the training pairs."""

    name: ClassVar[str] = "true_reward"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "see docs: embedded world"
    in_domain_for: ClassVar[tuple[str, ...]] = ("shapes-prefs",)

    def values(self, shown: Shown) -> Sequence[Value]:
        """The reward of population 1."""
        return [float(truth.reward) for truth in _truths(shown)]


@scorers.register()
class TrueRewardHeldout(_OfAnnotators):
    """Population 2's reward, content times bounded taste; it labelled no training pair."""

    name: ClassVar[str] = "true_reward_heldout"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, None)
    scale: ClassVar[str] = "see docs: embedded world"

    def values(self, shown: Shown) -> Sequence[Value]:
        """The reward of population 2."""
        return [float(truth.reward_heldout) for truth in _truths(shown)]


@scorers.register()
class TrueStyle(_Judged, ImageScorer):
    """1 if the evaluating oracle reads the style that the prompt is to be aligned to, else 0.

    Prompts that name none of the world's styles get no row.
    """

    name: ClassVar[str] = "true_style"
    axis: ClassVar[Axis] = "style"
    bounds: ClassVar[tuple[float, float | None]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1"

    def concerns(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for one of the styles."""
        return style_of(prompt) in names(STYLES)

    def values(self, shown: Shown) -> Sequence[Value]:
        """Whether the style is read."""
        wanted = [names(STYLES).index(style_of(prompt)) for prompt in shown.prompts]
        return [float(int(t.reading.style) == w) for t, w in zip(_truths(shown), wanted, strict=True)]


@scorers.register()
class TrueDiversity(_Judged, PromptScorer):
    """Share of image pairs that differ in what the prompt leaves open, in units of the world's own."""

    name: ClassVar[str] = "true_diversity"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (0.0, None)
    scale: ClassVar[str] = "1 = as varied as the world"

    def value(self, shown: Shown) -> Value:
        """The diversity of one prompt's images."""
        from benchmark.scorers.engine.truth import diversity

        found = diversity(shown) if len(shown) else None
        return Missing("fewer than two accepted images") if found is None else found

    def pair_distances(self, shown: Shown) -> "np.ndarray":
        """The difference of each pair of accepted images."""
        from benchmark.scorers.engine.truth import pair_diversity

        return pair_diversity(shown)


def _tasted(truth: "Truth", taste: float) -> Value:
    """Of a picture that is no scene or lacks a stated fact nobody asks how well it is liked otherwise."""
    if not truth.complete:
        return Missing("not a scene with all stated facts")
    return Missing("nothing open to have a taste for") if math.isnan(taste) else taste


def _truths(shown: Shown) -> "list[Truth]":
    from benchmark.scorers.engine.truth import truths

    return truths(shown)
