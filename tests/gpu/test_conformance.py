"""The golden images on a CUDA GPU, with the arithmetic that an evaluation there has."""

import pytest

from benchmark.core import resources
from benchmark.evaluate.conformance import EXPECTED, FOLDER, check, expected_of, golden_images
from benchmark.scorers import make_scorers

pytestmark = pytest.mark.gpu

NAMES = [name.partition("(")[0] for name in expected_of(resources.shapes_data(FOLDER) / EXPECTED)]


@pytest.mark.parametrize("name", NAMES)
def test_every_embedded_scorer_conforms(name: str) -> None:
    golden_images.cache_clear()
    (scorer,) = make_scorers([name], "embedded")
    scorer.load("cuda")
    found = check(scorer)
    assert found.verdict == "conforms", found.note
