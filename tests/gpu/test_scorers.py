"""A CUDA GPU gives the scores of the CPU, as far as its arithmetic allows."""

import inspect
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.core.records import ImageSet, ScoreRow
from benchmark.scorers import make_scorers, scorers
from benchmark.scorers.engine.images import forget

pytestmark = pytest.mark.gpu

MakeSet = Callable[..., ImageSet]
Place = tuple[str | None, int | None]

NAMES = scorers.names()
HALVED = [name for name in NAMES if "precision" in inspect.signature(scorers.get(name)).parameters]
# The embedded world has no aesthetic head, only the random one.
RANKED = [n for n in HALVED if getattr(scorers.get(n), "unit", "") == "image" and n != "aesthetic"]
DECIDING = ("precision", "recall", "density", "coverage", "attribute_diversity")
"""They count neighbours or choose a value for an image: at a tie a rounding error decides."""
TOLERANCE = 1e-3
"""Absolute and relative, in float32."""


@pytest.fixture(autouse=True)
def exact_float32() -> Iterator[None]:
    """TF32 rounds products to ten bits; comparisons with the CPU are made without it."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def scored(name: str, images: ImageSet, device: str, precision: str = "fp32") -> dict[Place, ScoreRow]:
    # What was computed on one device must not be found by the other.
    forget(images)
    (scorer,) = make_scorers([name], "embedded", precision=precision)
    scorer.load(device)
    rows = scorer.score(images)
    assert not any(row.failed for row in rows), rows[0].note
    return {(row.prompt_id, row.seed): row for row in rows}


def both(first: dict[Place, ScoreRow], second: dict[Place, ScoreRow]) -> tuple[np.ndarray, np.ndarray]:
    """The values of one and the other, where there are any; there are the same ones."""
    assert first.keys() == second.keys()
    assert [row.status for row in first.values()] == [row.status for row in second.values()]
    places = [place for place, row in first.items() if row.value is not None]
    one, other = (np.array([rows[place].value for place in places], float) for rows in (first, second))
    return one, other


@pytest.mark.parametrize("name", NAMES)
def test_scores_in_float32_are_those_of_the_cpu(name: str, world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=14, k=3)
    cpu, gpu = both(*(scored(name, images, device) for device in ("cpu", "cuda")))
    if name in DECIDING:
        assert abs(cpu - gpu).sum() <= 0.1 * len(cpu)
    else:
        np.testing.assert_allclose(gpu, cpu, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", RANKED)
def test_fifty_images_keep_their_ranks_on_the_gpu_and_in_bf16(name: str, make_set: MakeSet) -> None:
    """With the embedded weights: pairs that are further apart than twice the tolerance are never swapped."""
    images = make_set(prompts=50, k=1)
    exact = scored(name, images, "cpu")
    half_tolerance: float = scorers.get(name).bf16_tolerance  # type: ignore[attr-defined]
    for precision, tolerance in (("fp32", TOLERANCE), ("bf16", half_tolerance)):
        ours, theirs = both(exact, scored(name, images, "cuda", precision))
        scale = 1.0 if precision == "bf16" else max(1.0, float(abs(ours).max()))
        assert abs(ours - theirs).max() <= tolerance * scale
        for i, j in combinations(range(len(ours)), 2):
            if abs(ours[i] - ours[j]) > 2 * tolerance * scale:
                assert (ours[i] > ours[j]) == (theirs[i] > theirs[j])


@pytest.mark.parametrize("name", RANKED)
def test_neighbours_change_no_score_on_the_gpu(name: str, make_set: MakeSet) -> None:
    from dataclasses import replace

    images = make_set(prompts=40, k=1)
    part = replace(images, id="part", records=images.records[3:5])
    whole, alone = (scored(name, s, "cuda") for s in (images, part))
    for place, row in alone.items():
        assert row.value == pytest.approx(whole[place].value, rel=TOLERANCE, abs=TOLERANCE)
