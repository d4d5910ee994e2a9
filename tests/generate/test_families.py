"""Stable Diffusion 1.x and SDXL folders are sampled as plain diffusers samples them."""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict

from benchmark.core.errors import UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import sample
from benchmark.models import load_pipeline as load_any
from benchmark.models import open_checkpoint
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

load_pipeline = cast("Callable[..., Pipeline]", load_any)


Folder = Callable[..., Path]
SAMPLER = Sampler(steps=4, guidance=4.0, batch_size=3)
PROMPTS = ["a star", "two hearts", ""]
SEEDS = [7, 8, 9]
ALL = [(family, kind) for family in ("sd15", "sdxl") for kind in ("epsilon", "v_prediction")]


def plain(folder: Path, sampler: Sampler = SAMPLER, lora: Path | None = None) -> "RGB":
    """What a script without fbench makes, with a generator for each image."""
    pipe: Any
    if (folder / "text_encoder_2").is_dir():
        pipe = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    else:
        pipe = StableDiffusionPipeline.from_pretrained(folder)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    if lora is not None:
        pipe.load_lora_weights(lora)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    made = pipe(
        PROMPTS, num_inference_steps=sampler.steps, guidance_scale=sampler.guidance, generator=generators
    )
    return np.stack([np.asarray(image) for image in made.images])


def largest_difference(a: "RGB", b: "RGB") -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize(("family", "kind"), ALL)
@pytest.mark.parametrize("guidance", [4.0, 1.0])
def test_equal_to_plain_diffusers(published_folder: Folder, family: str, kind: str, guidance: float) -> None:
    folder, sampler = published_folder(family, kind), replace(SAMPLER, guidance=guidance)
    ours = sample(load_pipeline(str(folder), precision="fp32"), PROMPTS, SEEDS, sampler)
    assert largest_difference(ours, plain(folder, sampler)) <= 1


ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


@pytest.mark.filterwarnings("ignore:The configuration file of this scheduler")
@pytest.mark.parametrize("family", ["sd15", "sdxl"])
@pytest.mark.parametrize("changes", [ZERO_SNR, {"steps_offset": 0}], ids=["zero-snr", "no-offset"])
def test_other_noise_schedules_are_equal_too(
    published_folder: Folder, family: str, changes: dict[str, object], tmp_path: Path
) -> None:
    folder = shutil.copytree(published_folder(family, "v_prediction"), tmp_path / "other")
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_class_name": "DDIMScheduler", **changes}))
    pipeline = load_pipeline(str(folder), precision="fp32")
    assert (float(pipeline.scheduler.alphas_cumprod[-1]) < 1e-6) == ("rescale_betas_zero_snr" in changes)
    ours = sample(pipeline, PROMPTS, SEEDS, SAMPLER)
    assert largest_difference(ours, plain(folder)) <= 1


def add_adapter(part: Any, targets: list[str], seed: int) -> dict[str, torch.Tensor]:
    """A LoRA whose alpha is not its rank, with large weights; returns them as diffusers saves them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=2, lora_alpha=6, target_modules=targets, init_lora_weights=False)
        part.add_adapter(config)
    return dict(convert_state_dict_to_diffusers(get_peft_model_state_dict(part)))


def test_an_sdxl_lora_of_all_its_parts_is_equal_to_plain_diffusers(
    published_folder: Folder, tmp_path: Path
) -> None:
    folder = published_folder("sdxl")
    base = load_pipeline(str(folder), precision="fp32")
    unet, first, second = (
        copy.deepcopy(part) for part in (base.unet, base.text_encoder, base.text_encoder_2)
    )
    assert second is not None
    text = ["q_proj", "k_proj", "v_proj", "out_proj"]
    StableDiffusionXLPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=add_adapter(unet, ["to_q", "to_k", "to_v", "to_out.0"], 0),
        text_encoder_lora_layers=add_adapter(first, text, 1),
        text_encoder_2_lora_layers=add_adapter(second, text, 2),
        **_collate_lora_metadata({"unet": unet, "text_encoder": first, "text_encoder_2": second}),
    )
    before = base.encode_prompts(["a star"])
    _, policy = open_checkpoint(str(tmp_path / "pytorch_lora_weights.safetensors"), base)
    ours = sample(policy, PROMPTS, SEEDS, SAMPLER)
    assert largest_difference(ours, plain(folder, lora=tmp_path)) <= 1
    # Every part has changed, and the base has not been touched.
    after = policy.encode_prompts(["a star"])
    assert not torch.allclose(after.parts["pooled"], before.parts["pooled"], atol=1e-3)
    assert not torch.allclose(after.parts["states"][..., :16], before.parts["states"][..., :16], atol=1e-3)
    assert torch.equal(base.encode_prompts(["a star"]).parts["states"], before.parts["states"])
    assert largest_difference(sample(base, PROMPTS, SEEDS, SAMPLER), plain(folder)) <= 1


def test_a_lora_of_the_other_family_is_refused(published_folder: Folder, tmp_path: Path) -> None:
    xl, sd = (load_pipeline(str(published_folder(f)), precision="fp32") for f in ("sdxl", "sd15"))
    unet = copy.deepcopy(xl.unet)
    layers = add_adapter(unet, ["to_k", "to_v"], 0)
    StableDiffusionXLPipeline.save_lora_weights(tmp_path, unet_lora_layers=layers)
    with pytest.raises(UserError, match="as a LoRA of tiny-sd15-epsilon"):
        open_checkpoint(str(tmp_path / "pytorch_lora_weights.safetensors"), sd)
