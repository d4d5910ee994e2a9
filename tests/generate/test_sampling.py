"""Pixels: equal to plain diffusers, and to the bit whatever stands beside an image."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Sampler
from benchmark.generate import image_seed
from benchmark.generate.sampling import sample
from benchmark.models import open_checkpoint
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

SAMPLER = Sampler(steps=4, guidance=3.0, batch_size=4)
PROMPTS = ["a star", "two hearts", "a moon, winter", "a star", "a flat circle", ""]
SEEDS = [image_seed(SAMPLER, prompt, k) for k, prompt in enumerate(PROMPTS)]


def plain_diffusers(folder: Path, sampler: Sampler, lora: Path | None = None) -> "RGB":
    """What a script without fbench makes: the same prompts, with a generator for each image."""
    pipe = StableDiffusionPipeline.from_pretrained(folder)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    if lora is not None:
        pipe.load_lora_weights(lora)
    settings: dict[str, Any] = {"guidance_scale": sampler.guidance, "eta": sampler.eta}
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    made = pipe(PROMPTS, num_inference_steps=sampler.steps, generator=generators, **settings)
    return np.stack([np.asarray(image) for image in made.images])


def largest_difference(a: "RGB", b: "RGB") -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("change", [{}, {"eta": 1.0}, {"guidance": 1.0}], ids=str)
def test_equal_to_plain_diffusers(
    tiny_pipeline: Pipeline, tiny_pipeline_folder: Path, change: dict[str, float]
) -> None:
    sampler = replace(SAMPLER, **change)  # type: ignore[arg-type]
    ours = sample(tiny_pipeline, PROMPTS, SEEDS, sampler)
    # Batches of 4 against one of 6: a rounding error may move a pixel by one.
    assert largest_difference(ours, plain_diffusers(tiny_pipeline_folder, sampler)) <= 1


def test_a_lora_is_equal_to_plain_diffusers(
    tiny_pipeline: Pipeline, tiny_pipeline_folder: Path, tmp_path: Path
) -> None:
    # alpha differs from the rank: a loader that loses it makes other pictures.
    unet = copy.deepcopy(tiny_pipeline.unet)
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    unet.add_adapter(LoraConfig(r=2, lora_alpha=6, target_modules=targets, init_lora_weights=False))
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(unet)),
        **_collate_lora_metadata({"unet": unet}),
    )
    checkpoint, policy = open_checkpoint(str(tmp_path / "pytorch_lora_weights.safetensors"), tiny_pipeline)
    assert checkpoint.objective == "external"
    ours = sample(policy, PROMPTS, SEEDS, SAMPLER)
    assert largest_difference(ours, plain_diffusers(tiny_pipeline_folder, SAMPLER, tmp_path)) <= 1
    # The adapter shows, and the base has not been touched.
    base = sample(tiny_pipeline, PROMPTS, SEEDS, SAMPLER)
    assert largest_difference(ours, base) > 5
    assert largest_difference(base, plain_diffusers(tiny_pipeline_folder, SAMPLER)) <= 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_image_is_equal_to_the_bit_alone_in_a_batch_and_in_any_order(
    tiny_pipeline: Pipeline, precision: Any
) -> None:
    sampler = replace(SAMPLER, precision=precision)
    together = sample(tiny_pipeline, PROMPTS, SEEDS, sampler)
    alone = [
        sample(tiny_pipeline, [prompt], [seed], sampler)[0]
        for prompt, seed in zip(PROMPTS, SEEDS, strict=True)
    ]
    assert np.array_equal(together, np.stack(alone))
    backwards = sample(tiny_pipeline, PROMPTS[::-1], SEEDS[::-1], sampler)
    assert np.array_equal(together, backwards[::-1])
    assert not np.array_equal(together[0], together[3])


def test_another_batch_size_moves_no_pixel_by_more_than_two(tiny_pipeline: Pipeline) -> None:
    one = sample(tiny_pipeline, PROMPTS, SEEDS, replace(SAMPLER, batch_size=1))
    assert largest_difference(one, sample(tiny_pipeline, PROMPTS, SEEDS, SAMPLER)) <= 2


def test_settings_change_the_pixels(tiny_pipeline: Pipeline) -> None:
    before = sample(tiny_pipeline, PROMPTS[:1], SEEDS[:1], SAMPLER)
    for change in ({"steps": 3}, {"guidance": 6.0}, {"eta": 1.0}):
        after = sample(tiny_pipeline, PROMPTS[:1], SEEDS[:1], replace(SAMPLER, **change))
        assert not np.array_equal(before, after), change


def test_an_unknown_sampler_is_refused(tiny_pipeline: Pipeline) -> None:
    with pytest.raises(UnknownNameError, match="did you mean ddim"):
        sample(tiny_pipeline, PROMPTS[:1], SEEDS[:1], replace(SAMPLER, name="ddpm"))


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_compiled_every_pixel_is_near_and_an_image_still_has_no_neighbours(tiny_pipeline: Pipeline) -> None:
    sampler = replace(SAMPLER, compiled=True)
    together = sample(tiny_pipeline, PROMPTS, SEEDS, sampler)
    assert largest_difference(together, sample(tiny_pipeline, PROMPTS, SEEDS, SAMPLER)) <= 2
    assert np.array_equal(together[-1], sample(tiny_pipeline, PROMPTS[-1:], SEEDS[-1:], sampler)[0])


def test_without_a_compiler_nothing_is_compiled(
    tiny_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="C\\+\\+ compiler, and no-such-compiler is not there; install one"):
        sample(tiny_pipeline, PROMPTS[:1], SEEDS[:1], replace(SAMPLER, compiled=True))
