"""Scorers of features and of pairs give the same numbers on both devices, in float32."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.records import ImageSet
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.images import forget

pytestmark = pytest.mark.gpu

MakeSet = Callable[..., ImageSet]


@pytest.mark.parametrize("name", ["fid", "kid", "cmmd", "density", "coverage", "style_cosine", "lpips"])
def test_a_number_is_that_of_the_cpu(name: str, world: Path, make_set: MakeSet) -> None:
    images, found = make_set(prompts=24, k=2), []
    for device in ("cpu", "cuda"):
        (scorer,) = make_scorers([name], "embedded")
        scorer.load(device)
        forget(images)
        found.append([row.value for row in scorer.score(images)])
    # An image may lie on the very edge of a ball.
    assert found[1] == pytest.approx(
        found[0], rel=2e-3, abs=0.02 if name in ("density", "coverage") else 1e-4
    )
