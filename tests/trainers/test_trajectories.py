"""Training on stored steps of the sampler."""

import copy
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.core.errors import MissingFileError, UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.core.records import Sampler
from benchmark.generate import sample, sample_walks
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.batches import draw_batch
from trainers.config import TrainConfig
from trainers.encoded_pairs import EncodedPairs
from trainers.latents import encode_pairs
from trainers.log_ratio import log_ratio
from trainers.logs import read_metrics
from trainers.networks import network_errors
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan, make_recipe
from trainers.train import train
from trainers.trajectories import RECORD, WalkRecord, open_trajectories, write_part, write_record

Settings = Callable[..., TrainConfig]
CAPTIONS = ("a red star", "two blue hearts", "a ring")
PART = 5


def _png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _make_data(folder: Path, pipeline: Pipeline, guidance: float, write_rows: Callable[..., Path]) -> Path:
    """Six pairs of images drawn by the tiny model, with their walks."""
    sampler = Sampler(steps=8, guidance=guidance, eta=1.0, batch_size=4)
    prompts, seeds = [CAPTIONS[i % 3] for i in range(12)], list(range(12))
    images = [_png(image) for image in sample(pipeline, prompts, seeds, sampler)]
    rows = [
        {"caption": prompts[i], "jpg_0": images[i], "jpg_1": images[i + 6], "label_0": 1.0, "label_1": 0.0}
        for i in range(6)
    ]
    path = write_rows(f"{folder.name}/train.parquet", rows)
    walks = sample_walks(pipeline, prompts, seeds, sampler)
    for number in range(-(-12 // PART)):
        write_part(path.parent / "walks", number, walks[number * PART : (number + 1) * PART])
    digests = tuple(sha256_bytes(image) for image in images)
    write_record(path.parent, WalkRecord(8, guidance, "base", digests, "walks", PART))
    return path.parent


@pytest.fixture(params=[1.0, 3.0], ids=["unguided", "guided"])
def data(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_pipeline: Pipeline, write_rows: Callable[..., Path]
) -> Path:
    return _make_data(tmp_path / "walked", tiny_pipeline, request.param, write_rows)


def _pairs(pipeline: Pipeline, data: Path, cache: Path) -> EncodedPairs:
    pairs = encode_pairs(pipeline, load_pairs(str(data), held_out=0).train, cache)
    return replace(pairs, trajectories=open_trajectories(data, pipeline, pairs.image_digests))


def test_a_walk_ends_in_its_image(tiny_pipeline: Pipeline) -> None:
    sampler = Sampler(steps=4, guidance=2.0, eta=1.0, batch_size=4)
    walks = sample_walks(tiny_pipeline, ["a star"] * 5, [1, 2, 3, 4, 5], sampler)
    assert walks.shape == (5, 5, *tiny_pipeline.latent_shape)
    images = sample(tiny_pipeline, ["a star"] * 5, [1, 2, 3, 4, 5], sampler)
    np.testing.assert_array_equal(tiny_pipeline.decode(torch.from_numpy(walks[:4, -1])), images[:4])


def test_a_policy_with_a_shifted_output_has_the_ratio_of_the_two_gaussians(
    tiny_pipeline: Pipeline, data: Path, tiny_cache: Path
) -> None:
    """s over a batch of stored steps, from the densities of the sampler's own steps in float64."""
    pairs = _pairs(tiny_pipeline, data, tiny_cache)
    batch = draw_batch(tiny_pipeline, pairs, BatchPlan(3, 6, draws=2), 0)
    walks, moments = pairs.trajectories, batch.moments
    assert walks is not None
    assert moments.step is not None
    assert moments.scale is not None
    shifted: Any = copy.deepcopy(tiny_pipeline.unet)
    with torch.no_grad():
        shifted.conv_out.bias.add_(0.02)
        own = network_errors(tiny_pipeline, shifted, batch.inputs, keep=True)
        ref = network_errors(tiny_pipeline, tiny_pipeline.unet, batch.inputs, keep=True)
    s = log_ratio(own.error, ref.error, 1.0 * moments.scale)
    assert own.prediction is not None
    assert ref.prediction is not None
    for side, draw, row in np.ndindex(2, 2, 6):
        k = int(moments.step[draw, row])
        a, b, sigma = (float(x[k]) for x in (walks.steps.a, walks.steps.b, walks.steps.sigma))
        image = (pairs.winner, pairs.loser)[side][batch.rows[row]]
        at, walk = int(walks.steps.index[k]), int(walks.place[image])
        before, after = (
            torch.from_numpy(walks.parts[walk // PART][walk % PART][at + i].astype(np.float64))
            for i in (0, 1)
        )
        densities = [
            torch.distributions.Normal(a * before + b * said[side, draw, row].double(), sigma)
            .log_prob(after)
            .sum()
            for said in (own.prediction, ref.prediction)
        ]
        torch.testing.assert_close(
            s[side, draw, row].double(), densities[0] - densities[1], rtol=2e-3, atol=2e-3
        )


def test_the_steps_of_the_reference_itself_are_noise_around_its_mean(
    tiny_pipeline: Pipeline, data: Path, tiny_cache: Path
) -> None:
    """Under the reference kappa m is D/2 on average: the squared length of the noise that was drawn."""
    pairs = _pairs(tiny_pipeline, data, tiny_cache)
    with torch.no_grad():
        ratios = []
        for step in range(20):
            batch = draw_batch(tiny_pipeline, pairs, BatchPlan(3, 6, draws=2), step)
            m = network_errors(tiny_pipeline, tiny_pipeline.unet, batch.inputs).error
            assert batch.moments.scale is not None
            ratios.append(m * batch.moments.scale / (tiny_pipeline.latent_size / 2))
    found = torch.cat([r.flatten() for r in ratios])
    error = float(found.std()) / len(found) ** 0.5
    # 96 stored steps, drawn again and again: wider than the error of independent ones.
    assert float(found.mean()) == pytest.approx(1, abs=10 * error)
    assert 0.5 < float(found.min()) < float(found.max()) < 1.6


def test_training_on_steps(settings: Settings, data: Path) -> None:
    config = settings(data=str(data), estimator="transition", log_ratio_scale="auto", held_out_pairs=0)
    result = train(config)
    assert result.checkpoint.hyperparameters["log_ratio_scale"] == 1.0
    assert result.checkpoint.hyperparameters["estimator"] == "transition"
    lines = read_metrics(config.out)
    assert lines[1]["loss"] == pytest.approx(np.log(2), abs=1e-6)
    assert lines[-1]["loss"] != pytest.approx(np.log(2), abs=1e-6)


def test_data_without_walks_is_told_how_to_get_them(settings: Settings, data: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"fbench pairs --trajectories"):
        train(settings(estimator="transition"))
    assert not (tmp_path / "run").exists()
    record = data / RECORD
    record.write_text(record.read_text().replace('"digests": [\n    "', '"digests": [\n    "x'))
    with pytest.raises(UserError, match="1 of 12 images of the pairs have no trajectory"):
        train(settings("other", data=str(data), estimator="transition", held_out_pairs=0))


def test_what_a_step_cannot_vary_is_refused(settings: Settings) -> None:
    with pytest.raises(UserError, match="prompt_dropout is set, and the estimator transition"):
        make_recipe(settings(estimator="transition", prompt_dropout=0.1))
    with pytest.raises(UserError, match="uses no reference"):
        make_recipe(settings(objective="sft", estimator="transition"))


def test_another_models_walks_are_refused(data: Path, tiny_pipeline: Pipeline, tiny_cache: Path) -> None:
    pairs = _pairs(tiny_pipeline, data, tiny_cache)
    write_part(data / "walks", 0, np.zeros((PART, 9, 4, 2, 2), np.float32))
    with pytest.raises(UserError, match="needs"):
        open_trajectories(data, tiny_pipeline, pairs.image_digests)
