"""Stored walks of flow models: in training the networks are asked as they were when the walk was made."""

import math
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.core.hashing import sha256_bytes
from benchmark.generate import sample, sample_walks
from benchmark.models.flow.pipeline import FlowPipeline
from trainers.batches import draw_batch
from trainers.latents import encode_pairs
from trainers.networks import network_errors
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan
from trainers.trajectories import WalkRecord, open_trajectories, write_part, write_record

PROMPTS, SEEDS = ["a red star", "two hearts", "a ring"] * 4, list(range(12))


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_what_the_base_says_of_its_own_steps_is_off_by_the_noise_alone(
    flow_base: FlowPipeline, write_rows: Callable[..., Path], tmp_path: Path, guidance: float
) -> None:
    r"""$-\log p$ of a step is $\|z\|^2 / 2$, D/2 on average, where the noise z is standard normal."""
    base = flow_base
    sampler = replace(base.sampler, name="euler", steps=6, guidance=guidance, eta=1.0, batch_size=4)
    images = [png(image) for image in sample(base, PROMPTS, SEEDS, sampler)]
    rows = [
        {"caption": PROMPTS[i], "jpg_0": images[i], "jpg_1": images[i + 6], "label_0": 1.0, "label_1": 0.0}
        for i in range(6)
    ]
    data = write_rows("walked/train.parquet", rows).parent
    write_part(data / "walks", 0, sample_walks(base, PROMPTS, SEEDS, sampler))
    digests = tuple(sha256_bytes(image) for image in images)
    write_record(data, WalkRecord(6, guidance, "base", digests, "walks"))
    pairs = encode_pairs(base, load_pairs(str(data), held_out=0).train, tmp_path / "cache")
    pairs = replace(pairs, trajectories=open_trajectories(data, base, pairs.image_digests))
    batch = draw_batch(base, pairs, BatchPlan(0, 6, draws=4), 0)
    with torch.no_grad():
        error = network_errors(base, base.network, batch.inputs).error
    assert batch.moments.scale is not None
    nats, half = batch.moments.scale * error, base.latent_size / 2
    # Of 48 steps; each has a standard deviation of sqrt(D/2).
    assert float(nats.mean()) == pytest.approx(half, abs=6 * math.sqrt(half / nats.numel()))
    # One that reads the scale of guidance is told the walk's, and any other is guided.
    told = base.tell_guidance(batch.inputs.text, guidance)
    assert (batch.inputs.empty is None) == (told is not None or guidance == 1)
    if told is not None:
        assert torch.equal(batch.inputs.text.parts["guidance"], told.parts["guidance"])
