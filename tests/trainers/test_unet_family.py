"""Stable Diffusion 1.x and SDXL folders are trained with what their UNets are really told."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)

from benchmark.core.records import Sampler
from benchmark.generate import sample
from benchmark.models import load_pipeline as load_any
from benchmark.models import open_checkpoint
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from benchmark.models.families.unet.pipeline import time_ids
from trainers.batches import draw_batch
from trainers.config import TrainConfig
from trainers.encoded_pairs import EncodedPairs
from trainers.latents import encode_pairs
from trainers.networks import base_network, network_errors
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan
from trainers.train import train

load_pipeline = cast("Callable[..., Pipeline]", load_any)


Folder = Callable[..., Path]
Settings = Callable[..., TrainConfig]
SIZES = [(64, 64), (100, 64), (64, 130), (201, 90)]
"""Widths and heights of pictures that training resizes and crops."""


@pytest.fixture
def sdxl(published_folder: Folder) -> Pipeline:
    return load_pipeline(str(published_folder("sdxl")), precision="fp32")


@pytest.fixture
def odd_pairs(
    preference_row: Any, write_rows: Any, jpeg: Any, sdxl: Pipeline, tmp_path: Path
) -> EncodedPairs:
    """Four pairs whose images have other shapes than the model's; a loser has another than its winner."""
    rows = [
        preference_row(
            0, jpg_0=jpeg(2 * i, size), jpg_1=jpeg(2 * i + 1, SIZES[-1 - i]), caption=f"a star {i}"
        )
        for i, size in enumerate(SIZES)
    ]
    data = load_pairs(str(write_rows("odd.parquet", rows)), held_out=0)
    return encode_pairs(sdxl, data.train, tmp_path / "cache")


def compute_time_ids(size: tuple[int, int], resolution: int) -> list[int]:
    """The formula of diffusers' SDXL training scripts for a shorter side resized and a centre crop.

    original_sizes (height, width), then crop_top_lefts in the resized image, then (resolution, resolution).
    """
    width, height = size
    scale = resolution / min(width, height)
    resized_width, resized_height = (
        (resolution, int(height * scale)) if width <= height else (int(width * scale), resolution)
    )
    top = max(0, round((resized_height - resolution) / 2.0))
    left = max(0, round((resized_width - resolution) / 2.0))
    return [height, width, top, left, resolution, resolution]


def test_images_are_described_as_in_sdxls_training_scripts(odd_pairs: EncodedPairs, sdxl: Pipeline) -> None:
    batch = draw_batch(sdxl, odd_pairs, BatchPlan(0, 4), 0)
    found = time_ids(batch.inputs.size_and_crop, sdxl.image_size)
    assert found.shape == (2, 4, 6)
    for i, row in enumerate(batch.rows):
        for side, size in enumerate((SIZES[row], SIZES[-1 - row])):
            wanted = torch.tensor(compute_time_ids(size, 64), dtype=torch.float32)
            # Halves of pixels are rounded one way or the other.
            assert (found[side, i] - wanted).abs().max() <= 1
            assert torch.equal(found[side, i, [0, 1, 4, 5]], wanted[[0, 1, 4, 5]])


@pytest.mark.parametrize("draws", [1, 2])
def test_each_image_goes_through_the_unet_with_its_own_text_and_sizes(
    odd_pairs: EncodedPairs, sdxl: Pipeline, draws: int
) -> None:
    inputs = draw_batch(sdxl, odd_pairs, BatchPlan(0, 4, draws=draws), 0).inputs
    with torch.no_grad():
        found = network_errors(sdxl, sdxl.unet, inputs).error
        for side, draw, i in np.ndindex(2, draws, 4):
            told = {
                "text_embeds": inputs.text.parts["pooled"][i : i + 1],
                "time_ids": time_ids(inputs.size_and_crop[side, i : i + 1], sdxl.image_size),
            }
            noisy, target = inputs.noisy[side, draw, i], inputs.target[side, draw, i]
            said = sdxl.unet(
                noisy[None], inputs.t[draw, i], inputs.text.parts["states"][i : i + 1], added_cond_kwargs=told
            ).sample[0]
            wanted = (said - target).square().mean()
            torch.testing.assert_close(found[side, draw, i], wanted, rtol=1e-4, atol=1e-6)
        part = network_errors(sdxl, sdxl.unet, inputs, [slice(2, 4)], sides=1).error
    torch.testing.assert_close(part, found[:1, :, 2:], rtol=1e-4, atol=1e-6)


def test_cached_text_is_what_the_encoders_say(odd_pairs: EncodedPairs, sdxl: Pipeline) -> None:
    found = odd_pairs.text(odd_pairs.caption, sdxl.device)
    wanted = sdxl.encode_prompts([odd_pairs.captions[i] for i in odd_pairs.caption])
    torch.testing.assert_close(found.parts["states"], wanted.parts["states"], rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(found.parts["pooled"], wanted.parts["pooled"], rtol=2e-3, atol=2e-3)
    # A dropped caption is what guidance compares with: zeros in this folder.
    dropped = draw_batch(sdxl, odd_pairs, BatchPlan(0, 4, prompt_dropout=1.0), 0).inputs.text
    assert not dropped.parts["states"].any()
    assert not dropped.parts["pooled"].any()


def plain(folder: Path, step: Path) -> Any:
    """Images by plain diffusers with what was trained."""
    xl = (folder / "text_encoder_2").is_dir()
    kind = StableDiffusionXLPipeline if xl else StableDiffusionPipeline
    parts = {"unet": UNet2DConditionModel.from_pretrained(step / "unet")} if (step / "unet").is_dir() else {}
    pipe = kind.from_pretrained(folder, **parts, **({"add_watermarker": False} if xl else {}))
    if not parts:
        pipe.load_lora_weights(step)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    made = pipe(["a star", "a moon"], num_inference_steps=3, guidance_scale=4.0, generator=generators)
    return np.stack([np.asarray(image) for image in made.images])


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("rank", [4, "full"])
def test_f_dpo_trains_and_plain_diffusers_opens_it(
    published_folder: Folder, settings: Settings, family: str, kind: str, rank: Any
) -> None:
    folder = published_folder(family, kind)
    changes = {"base": str(folder), "lora_rank": rank, "steps": 2, "held_out_pairs": 4, "held_out_draws": 2}
    result = train(settings(divergence="jensen_shannon", **changes))
    rows = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["heldout/loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert rows[1]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert rows[1]["grad_norm"] > 0
    assert rows[2]["loss"] != pytest.approx(math.log(2), abs=1e-5)
    assert result.checkpoint.path is not None
    base = load_pipeline(str(folder), precision="fp32")
    assert result.checkpoint.base_model == base.name
    checkpoint, policy = open_checkpoint(str(result.folder), base)
    assert checkpoint == result.checkpoint
    sampler = Sampler(steps=3, guidance=4.0, batch_size=2)
    ours = sample(policy, ["a star", "a moon"], [1, 2], sampler)
    theirs = plain(folder, result.checkpoint.path)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1
    assert not np.array_equal(ours, sample(base, ["a star", "a moon"], [1, 2], sampler))


def test_a_full_policy_does_not_say_where_its_base_lay(published_folder: Folder, settings: Settings) -> None:
    folder = published_folder("sdxl")
    result = train(settings(base=str(folder), lora_rank="full", steps=1, held_out_pairs=0))
    assert result.checkpoint.path is not None
    text = (result.checkpoint.path / "unet" / "config.json").read_text()
    assert str(folder.parent) not in text
    network: Any = base_network(load_pipeline(str(folder), precision="fp32")).network
    assert network.config["_name_or_path"]
