"""The settings of data in whole runs: what is left out is listed, what is half counts half."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.core.errors import UserError
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.batches import draw_batch
from trainers.config import TrainConfig
from trainers.latents import encode_pairs
from trainers.pairs import load_pairs
from trainers.plan import plan
from trainers.recipe import BatchPlan
from trainers.train import train

Row = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
Settings = Callable[..., TrainConfig]


@pytest.fixture
def faulty(preference_row: Row, write_rows: Write, jpeg: Any) -> Path:
    """Twelve pairs: one without a caption, one whose image breaks off, two ties."""
    rows = [preference_row(i) for i in range(12)]
    rows[2] |= {"caption": ""}
    rows[5] |= {"jpg_1": jpeg(11)[:-400]}
    for i in (7, 8):
        rows[i] |= {"label_0": 0.5, "label_1": 0.5}
    return write_rows("faulty.parquet", rows)


def losses(run: Path) -> list[float]:
    return [json.loads(line).get("loss") for line in (run / "metrics.jsonl").read_text().splitlines()]


def listed(run: Path) -> dict[str, str]:
    lines = (run / "bad_rows.jsonl").read_text().splitlines()
    return {row["row"]: row["why"] for row in map(json.loads, lines)}


BAD = {"faulty.parquet:2": "it has no caption", "faulty.parquet:5": "an image cannot be decoded"}


@pytest.mark.parametrize("cache_latents", [True, False])
def test_what_a_run_left_out_is_listed_in_it(settings: Settings, faulty: Path, cache_latents: bool) -> None:
    more = {"data": str(faulty), "held_out_pairs": 0, "steps": 1, "cache_latents": cache_latents}
    run = train(settings("some", max_bad_share=0.2, **more))
    assert listed(run.folder) == BAD
    with pytest.raises(
        UserError, match=r"2 of 12 rows .*faulty.parquet:2 \(it has no caption\).*bad_rows.jsonl"
    ):
        train(settings("none", max_bad_share=0.1, **more))
    assert listed(settings("none").out) == BAD
    assert not (settings("none").out / "checkpoints").exists()


def test_a_dry_run_lists_nothing(settings: Settings, faulty: Path) -> None:
    config = settings(data=str(faulty), max_bad_share=0.2)
    assert "9 pairs, 0 held out, 2 ties, 1 bad" in "\n".join(plan(config))
    assert not config.out.exists()


def test_ties_reach_the_loss_with_half_the_weight(
    settings: Settings, faulty: Path, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    data = load_pairs(str(faulty), held_out=0, max_bad_share=0.2, ties="half")
    pairs = encode_pairs(tiny_pipeline, data.train, tmp_path / "cache")
    assert sorted(pairs.weight.tolist()) == [0.5] * 4 + [1.0] * 8
    weight = draw_batch(tiny_pipeline, pairs, BatchPlan(0, 12), 0).weight
    assert weight is not None
    assert sorted(weight.tolist()) == [0.5] * 4 + [1.0] * 8
    none = encode_pairs(tiny_pipeline, load_pairs(str(faulty), held_out=0, max_bad_share=0.2).train, tmp_path)
    assert draw_batch(tiny_pipeline, none, BatchPlan(0, 8), 0).weight is None
    more = {"data": str(faulty), "max_bad_share": 0.2, "held_out_pairs": 0, "steps": 2, "batch_size": 8}
    runs = [train(settings(ties, ties=ties, **more)) for ties in ("drop", "half")]
    ends = [losses(run.folder) for run in runs]
    assert ends[0] != ends[1]
    assert runs[0].checkpoint.data_sha256 != runs[1].checkpoint.data_sha256


def test_flips_change_the_run_and_resume_with_it(settings: Settings) -> None:
    plain, flipped = (train(settings(f"flip-{flip}", flip=flip, steps=2)) for flip in (False, True))
    assert losses(plain.folder) != losses(flipped.folder)
    assert flipped.checkpoint.hyperparameters["flip"] is True
    with pytest.raises(UserError, match="other settings .*flip"):
        train(settings("flip-True", flip=False, steps=2))


def test_a_limit_is_the_first_pairs(settings: Settings, tiny_data: Path) -> None:
    config = settings(data_limit=8, steps=1)
    assert "8 pairs, 6 held out" in "\n".join(plan(config))
    assert train(config).checkpoint.data_sha256 == load_pairs(str(tiny_data), limit=8).sha256


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropped_captions_change_nothing_else(
    tiny_data: Path, tiny_cache: Path, tiny_pipeline: Pipeline, dropout: float
) -> None:
    pairs = encode_pairs(tiny_pipeline, load_pairs(str(tiny_data)).train, tiny_cache)
    plain = draw_batch(tiny_pipeline, pairs, BatchPlan(0, 8), 2)
    dropped = draw_batch(tiny_pipeline, pairs, BatchPlan(0, 8, prompt_dropout=dropout), 2)
    assert torch.equal(plain.inputs.noisy, dropped.inputs.noisy)
    same = (plain.inputs.text.parts["states"] == dropped.inputs.text.parts["states"]).flatten(1).all(1)
    assert bool(same.all()) == (dropout == 0)
    empty = tiny_pipeline.encode_empty().parts["states"][0]
    for text in dropped.inputs.text.parts["states"][~same]:
        torch.testing.assert_close(text, empty, rtol=2e-3, atol=2e-3)
