"""The golden images on a CUDA GPU, with the arithmetic that an evaluation there has."""

import pytest

from benchmark.evaluate.conformance import check, golden_images
from benchmark.scorers import make_scorers, scorers

pytestmark = pytest.mark.gpu

# Without embedded weights, or not about images.
NAMES = [name for name in scorers.names() if name not in ("aesthetic", "dino_diversity", "path_kl")]


@pytest.mark.parametrize("name", NAMES)
def test_every_embedded_scorer_conforms(name: str) -> None:
    golden_images.cache_clear()
    (scorer,) = make_scorers([name])
    scorer.load("cuda")
    found = check(scorer)
    assert found.verdict == "conforms", found.note
