"""Every registered scorer that is a mean over pairs of images says what each pair is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.core.records import ImageSet
from benchmark.networks import perceptual
from benchmark.scorers import make_scorers, scorers
from benchmark.scorers.base import OfPairs, PromptScorer
from benchmark.scorers.engine.images import shown
from benchmark.shapes.diversity import pair_diversity, true_diversity
from benchmark.shapes.facts import wanted
from benchmark.shapes.grammar import parse
from benchmark.shapes.readings import reading_of
from benchmark.shapes.scenes import sample_scenes

MakeSet = Callable[..., ImageSet]
OF_PAIRS = [name for name in scorers.names() if issubclass(scorers.get(name), OfPairs)]  # type: ignore[arg-type]


def off_diagonal(pairs: np.ndarray) -> np.ndarray:
    return pairs[~np.eye(len(pairs), dtype=bool)]


def test_those_that_are_means_over_pairs() -> None:
    assert {"attribute_diversity", "clip_diversity", "dino_diversity", "lpips", "true_diversity"} <= set(
        OF_PAIRS
    )
    assert "vendi" not in OF_PAIRS
    assert all(issubclass(scorers.get(name), PromptScorer) for name in OF_PAIRS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OF_PAIRS)
def test_the_mean_over_pairs_is_the_scorers_own_value(
    name: str, world: Path, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two images at a time, so that the parts have to be put together.
    monkeypatch.setattr(perceptual, "PIXELS", 2 * 64 * 64)
    images = make_set(prompts=6, k=5)
    (scorer,) = make_scorers([name], "embedded")
    scorer.load()
    assert isinstance(scorer, OfPairs)
    seen = shown(images)
    values = 0
    for prompt, row in zip(images.prompt_set, scorer.score(images), strict=True):
        pairs = scorer.pair_distances(seen.of([prompt]))
        assert pairs.shape == (5, 5)
        np.testing.assert_array_equal(pairs, pairs.T)
        apart = off_diagonal(pairs)
        assert (apart[~np.isnan(apart)] >= 0).all()
        if row.value is None:
            assert np.isnan(apart).all()
            continue
        values += 1
        assert np.nanmean(apart) == pytest.approx(row.value, rel=2e-5, abs=1e-7)
    assert values or name == "true_diversity"  # of random images none is a scene


@pytest.mark.parametrize("caption", ["a red star", "two hearts", "a blue square above a star at night"])
def test_true_diversity_is_the_mean_over_its_accepted_pairs(caption: str) -> None:
    facts = parse(caption)
    readings = reading_of(sample_scenes(wanted([facts] * 12), torch.Generator().manual_seed(1)))
    scene = torch.arange(12) % 3 > 0
    pairs = off_diagonal(pair_diversity(facts, readings, scene).numpy())
    assert np.isnan(pairs).sum() == 12 * 11 - 8 * 7
    value = true_diversity(facts, readings, scene)
    assert np.nanmean(pairs) == pytest.approx(value, rel=1e-5)
