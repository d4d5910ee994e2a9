"""Without the cache, training sees the same: but for the rounding of what is kept in half precision."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.arrays import LazyRows
from trainers.batches import draw_batch
from trainers.config import TrainConfig
from trainers.encoded_pairs import EncodedPairs
from trainers.latents import encode_pairs
from trainers.pairs import PairSet, load_pairs
from trainers.recipe import BatchPlan
from trainers.train import train

Row = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
Settings = Callable[..., TrainConfig]


@pytest.fixture
def pairs(preference_row: Row, write_rows: Write, jpeg: Any) -> PairSet:
    """Pairs of all shapes, one of them with an image that breaks off."""
    sizes = ((64, 64), (100, 64), (64, 90), (50, 70), (64, 64), (200, 128))
    rows = [preference_row(i, jpg_0=jpeg(2 * i, size)) for i, size in enumerate(sizes)]
    rows[4]["jpg_1"] = jpeg(9)[:-400]
    return load_pairs(str(write_rows("prefs.parquet", rows, row_group_size=2)), held_out=0).train


@pytest.fixture(params=["centre", "random"])
def both(
    request: pytest.FixtureRequest, pairs: PairSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> tuple[EncodedPairs, EncodedPairs]:
    """With the cache, and without."""
    cached = encode_pairs(tiny_pipeline, pairs, tmp_path / "cache", crop=request.param, flip=True)
    return cached, encode_pairs(tiny_pipeline, pairs, None, crop=request.param, flip=True)


def test_equal_batches(both: tuple[EncodedPairs, EncodedPairs], tiny_pipeline: Pipeline) -> None:
    cached, plain = both
    for name in ("rows", "captions", "images", "image_digests", "bad"):
        assert getattr(cached, name) == getattr(plain, name)
    for name in ("winner", "loser", "caption", "weight", "size_and_crop"):
        np.testing.assert_array_equal(getattr(cached, name), getattr(plain, name))
    assert [bad.row for bad in plain.bad] == ["prefs.parquet:4"]
    plan = BatchPlan(3, 7, prompt_dropout=0.3, flip=True)
    for step in range(2):
        one, two = (draw_batch(tiny_pipeline, each, plan, step).inputs for each in both)
        assert torch.equal(one.t, two.t)
        for name in ("noisy", "target", "size_and_crop"):
            torch.testing.assert_close(getattr(one, name), getattr(two, name), rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(one.text.parts["states"], two.text.parts["states"], rtol=2e-3, atol=2e-3)


def test_in_memory_it_is_the_cache_to_the_bit_of_half_precision(
    both: tuple[EncodedPairs, EncodedPairs],
) -> None:
    cached, plain = both
    kept = plain.in_memory()
    everything = np.arange(len(cached.images))
    assert kept.latents[everything].dtype == np.float16
    np.testing.assert_allclose(kept.latents[everything], cached.latents[everything], rtol=2e-3, atol=2e-3)
    assert kept.flipped is not None
    assert cached.in_memory().latents is cached.latents


def test_rows_are_computed_once_each_and_in_the_order_asked_for() -> None:
    asked: list[int] = []

    def compute(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return rows[:, None] * np.ones(3)

    rows = LazyRows((100, 3), compute)
    order = np.concatenate([np.arange(70)[::-1], [5, 5]])
    np.testing.assert_array_equal(rows[order][:, 0], order)
    assert sorted(asked) == list(range(70))
    assert rows[7].tolist() == [7, 7, 7]
    assert np.asarray(rows).shape == rows.shape == (100, 3)
    assert rows[np.empty(0, dtype=np.int64)].shape == (0, 3)


def test_a_run_without_the_cache_has_the_same_losses(settings: Settings) -> None:
    empty = settings().out.parent / "empty"
    runs = [
        train(settings("cached", flip=True)),
        train(settings("plain", flip=True, cache_latents=False, cache=empty)),
    ]
    lines = [
        [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()] for run in runs
    ]
    assert len(lines[0]) == len(lines[1]) == 5
    for one, two in zip(*lines, strict=True):
        for name in ("loss", "heldout/loss"):
            if name in one:
                assert two[name] == pytest.approx(one[name], abs=2e-2)
    assert not empty.exists()
