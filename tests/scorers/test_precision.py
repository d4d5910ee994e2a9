"""bf16 and batching move no score by more than is stated, and swap no images that are further apart."""

import inspect
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.core.records import ImageSet
from benchmark.networks.inference import place, running
from benchmark.scorers import make_scorers, scorers
from benchmark.scorers.engine.images import forget

MakeSet = Callable[..., ImageSet]
TOWERS = [n for n in scorers.names() if "precision" in inspect.signature(scorers.get(n)).parameters]
# Of these the embedded world has no weights: test_aesthetic.py and test_vqa.py have random ones.
PUBLISHED_ONLY = ("aesthetic", "vqa")
PER_IMAGE = [n for n in TOWERS if getattr(scorers.get(n), "unit", "") == "image" and n not in PUBLISHED_ONLY]


def values(text: str, images: ImageSet, precision: str = "fp32") -> np.ndarray:
    (scorer,) = make_scorers([text], "embedded", precision=precision)
    scorer.load()
    forget(images)
    return np.array([row.value for row in scorer.score(images)], dtype=float)


@pytest.mark.parametrize("name", TOWERS)
def test_half_precision_is_stated(name: str, world: Path) -> None:
    assert getattr(scorers.get(name), "bf16_tolerance", 0) > 0
    plain, half = (make_scorers([name], "embedded", precision=p)[0] for p in ("fp32", "bf16"))
    assert "+bf16@" in half.scorer_version
    assert "bf16" not in plain.scorer_version


@pytest.mark.parametrize("name", PER_IMAGE)
def test_half_precision_keeps_values_and_ranks_with_the_embedded_weights(
    name: str, make_set: MakeSet
) -> None:
    images = make_set(prompts=50, k=1)
    tolerance = scorers.get(name).bf16_tolerance  # type: ignore[attr-defined]
    exact, half = values(name, images), values(name, images, "bf16")
    assert np.isfinite(exact).sum() > 10 or name.startswith("style")
    assert 0 < np.nanmax(abs(exact - half)) <= tolerance
    for i, j in combinations(np.flatnonzero(np.isfinite(exact)), 2):
        if abs(exact[i] - exact[j]) > 2 * tolerance:
            assert (exact[i] > exact[j]) == (half[i] > half[j])


@pytest.mark.parametrize("name", PER_IMAGE)
def test_batching_moves_nothing_that_is_seen(
    name: str, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_set(prompts=12, k=1)
    together = values(name, images)
    for size in (1, 5):
        for module in ("inference", "blip"):
            monkeypatch.setattr(f"benchmark.networks.{module}.batch_size", lambda *_, size=size: size)
        np.testing.assert_allclose(values(name, images), together, rtol=0, atol=1e-4)


def test_attention_in_half_precision_is_torchs_own() -> None:
    torch.manual_seed(0)
    for batch_first in (True, False):
        own = nn.MultiheadAttention(16, 4, batch_first=batch_first).eval()
        x, mask = torch.randn(3, 5, 16), torch.full((5, 5) if batch_first else (3, 3), -torch.inf).triu(1)
        for attn_mask in (None, mask):
            with torch.inference_mode():
                expected, _ = own(x, x, x, need_weights=False, attn_mask=attn_mask)
                half = place(nn.Sequential(nn.MultiheadAttention(16, 4, batch_first=batch_first)), "cpu")
                half[0].load_state_dict(own.state_dict())
                place(half, "cpu", "bf16")
                with running("cpu", "bf16"):
                    got, _ = half[0](x, x, x, need_weights=False, attn_mask=attn_mask)
            torch.testing.assert_close(got.float(), expected, atol=0.02, rtol=0.02)


def test_a_precision_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="one of fp32, bf16"):
        place(nn.Linear(1, 1), "cpu", "fp8")
