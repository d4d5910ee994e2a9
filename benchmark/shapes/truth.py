"""The truth about images: what they show of their captions, and what annotators think of them."""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core.resources import shapes_weights
from benchmark.shapes import annotators
from benchmark.shapes.alignment import Match, alignments, shares
from benchmark.shapes.facts import Facts
from benchmark.shapes.grammar import parse
from benchmark.shapes.oracles import Oracle, load_oracle
from benchmark.shapes.readings import Readings
from benchmark.shapes.scene_check import is_scene, residuals, thresholds


@dataclass(frozen=True)
class Judgement:
    """The truth about N images, one field each: (n,).

    Attributes:
        facts: What each image's caption states.
        readings: What the oracle read.
        matches: Which facts are shown.
        alignment: Their share, 0..1, whatever the picture looks like otherwise.
        scene: Whether the picture is a scene at all.
        taste: Population 1's taste for what the caption leaves open, 0..1; NaN where nothing is open.
        taste_heldout: Population 2's.
        reward: Population 1's reward.
        reward_heldout: Population 2's reward.
    """

    facts: list[Facts]
    readings: Readings
    matches: list[Match]
    alignment: Tensor
    scene: Tensor
    taste: Tensor
    taste_heldout: Tensor
    reward: Tensor
    reward_heldout: Tensor

    @property
    def complete(self) -> Tensor:
        """Whether each image is a scene that shows all stated facts, (n,) bool."""
        return self.scene & (self.alignment == 1)


@dataclass(frozen=True)
class Judge:
    """An oracle with the calibrations it judges by."""

    oracle: Oracle
    limits: Tensor

    def __call__(self, images: NDArray[np.uint8], captions: list[str]) -> Judgement:
        """Judges images (n, 64, 64, 3) against their captions.

        Raises:
            ValueError: a caption is not of this world's grammar.
        """
        return judge(*self.look(images), captions)

    def look(self, images: NDArray[np.uint8]) -> tuple[Readings, Tensor]:
        """What images (n, 64, 64, 3) show, and whether each is a scene, (n,) bool: nearly all of the work."""
        pictures = torch.from_numpy(images).movedim(-1, 1).float() / 255
        readings = self.oracle.read(pictures)
        return readings, is_scene(residuals(pictures, readings), readings, self.limits)


def judge(readings: Readings, scene: Tensor, captions: list[str]) -> Judgement:
    """What images are worth that show this, against their captions.

    Args:
        readings: N readings.
        scene: Whether each is a scene, (n,) bool.
        captions: N captions.

    Raises:
        ValueError: a caption is not of this world's grammar.
    """
    facts = [_parse(text) for text in captions]
    matches = alignments(facts, readings)
    share = shares(matches)
    tastes = [annotators.taste(facts, readings, matches, p) for p in annotators.POPULATIONS.values()]
    rewards = [annotators.reward(share, scene, q) for q in tastes]
    return Judgement(facts, readings, matches, share, scene, *tastes, *rewards)


@cache
def load_judge(oracle: str = "oracle", weights: Path | None = None) -> Judge:
    """The evaluating judge, or with `oracle="oracle_label"` the one that labels data."""
    folder = weights or shapes_weights()
    calibration = folder / "truth" / f"{oracle}.json"
    return Judge(load_oracle(folder / oracle), thresholds(calibration))


@lru_cache(maxsize=65536)
def _parse(text: str) -> Facts:
    return parse(text)
