"""What Stable Diffusion 3 alone has: a T5 that may be missing, two kinds of shift, adapters of many tools."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from benchmark.core.errors import UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import sample
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.models.families.sd3.pipeline import SD3Pipeline
from benchmark.models.flow.texts import TOKENS_KEY
from tools.random_flow.sd3 import diffusers_images, diffusers_told, write_random_folder

SAMPLER = Sampler(name="euler", steps=4, guidance=4.0, batch_size=3)
PROMPTS = ["a star", "two hearts, " * 20, ""]
SEEDS = [7, 8, 9]


@pytest.fixture(scope="module")
def folder(published_folder: Callable[..., Path]) -> Path:
    return published_folder("sd3")


@pytest.fixture(scope="module")
def base(published_pipeline: Callable[..., SD3Pipeline]) -> SD3Pipeline:
    return published_pipeline("sd3")


@pytest.fixture(scope="module")
def without_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_folder(tmp_path_factory.mktemp("without") / "no-t5", t5=False)


def opened(folder: Path) -> SD3Pipeline:
    found = load_pipeline(str(folder), precision="fp32")
    assert isinstance(found, SD3Pipeline)
    return found


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def far(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_dynamic_shift_is_diffusers_too(tmp_path: Path) -> None:
    folder = write_random_folder(tmp_path / "dynamic", scheduler={"use_dynamic_shifting": True})
    pipeline = opened(folder)
    assert pipeline.schedule.shift == pytest.approx(1.596, abs=1e-3)  # 64 tokens
    ours = sample(pipeline, PROMPTS, SEEDS, SAMPLER)
    assert far(ours, diffusers_images(folder, PROMPTS, SEEDS, SAMPLER)) <= 1


def test_without_t5_prompts_are_encoded_as_diffusers_encodes_them(without_t5: Path) -> None:
    told, (theirs, _) = opened(without_t5).encode_prompts(PROMPTS), diffusers_told(without_t5, PROMPTS)
    assert told.parts.keys() == theirs.keys() == {"clip", "pooled"}
    for name, wanted in theirs.items():
        torch.testing.assert_close(told.parts[name], wanted, rtol=1e-6, atol=1e-6)


def test_without_t5_as_many_zeros_as_diffusers_has(without_t5: Path, tmp_path: Path) -> None:
    ours = sample(opened(without_t5), PROMPTS, SEEDS, SAMPLER)
    assert far(ours, diffusers_images(without_t5, PROMPTS, SEEDS, SAMPLER)) <= 1
    none = shutil.copytree(without_t5, tmp_path / "none")
    edit(none / "model_index.json", **{TOKENS_KEY: 0})
    found = sample(opened(none), PROMPTS, SEEDS, SAMPLER)
    assert far(found, diffusers_images(none, PROMPTS, SEEDS, SAMPLER, max_sequence_length=0)) <= 1
    assert far(found, ours) > 1
    edit(none / "model_index.json", **{TOKENS_KEY: "many"})
    with pytest.raises(UserError, match=f"{TOKENS_KEY} in model_index.json is 'many' and should be a whole"):
        opened(none)


def test_pefts_own_folders_are_refused_by_what_they_state(base: SD3Pipeline, tmp_path: Path) -> None:
    """In a folder of the adapter's name, as Flow-GRPO's DPO saves it; of another network whose names fit."""
    transformer: Any = copy.deepcopy(base.transformer)
    config = LoraConfig(r=2, lora_alpha=6, target_modules=list(base.lora_targets("attention")))
    get_peft_model(transformer, config, adapter_name="learner").save_pretrained(str(tmp_path / "lora"))
    place = tmp_path / "lora" / "learner"
    with pytest.raises(UserError, match=rf"give what is in it: --checkpoint {place}$"):
        open_checkpoint(str(tmp_path / "lora"), base)
    open_checkpoint(str(place), base)
    trained = {"base_model_class": "FluxTransformer2DModel", "parent_library": "diffusers.models"}
    edit(place / "adapter_config.json", auto_mapping=trained)
    with pytest.raises(UserError, match=r"trained on a FluxTransformer2DModel\); give the base model"):
        open_checkpoint(str(place), base)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight", "kohya"),
        ("joint_blocks.0.context_block.attn.qkv.lora_A.weight", "kohya"),
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "a whole transformer"),
        ("transformer_blocks.0.attn.to_q.weight", "a whole transformer"),
        ("blocks.0.attn.a_to_qkv.lora_A.default.weight", "DiffSynth"),
        ("blocks.3.norm1_a.linear.lora_B.default_0.default.weight", "DiffSynth"),
        ("lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight", "third text encoder"),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", "--base"),
        ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "--base"),
        ("transformer_blocks.7.attn.to_q.lora_A.weight", "--base"),
    ],
)
def test_what_has_no_place_is_refused_with_who_wrote_it(
    base: SD3Pipeline, name: str, said: str, tmp_path: Path
) -> None:
    save_file({name: torch.ones(2, 16)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=f"no place in that model: {name}.*{said}"):
        open_checkpoint(str(tmp_path / "other.safetensors"), base)


def test_a_text_encoder_beside_the_transformer_counts(
    base: SD3Pipeline, folder: Path, tmp_path: Path
) -> None:
    base.save_network(base.transformer, tmp_path)
    shutil.copytree(folder / "text_encoder", tmp_path / "text_encoder")
    file = tmp_path / "text_encoder" / "model.safetensors"
    save_file({name: 1.5 * value for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    _, policy = open_checkpoint(str(tmp_path), base)
    told: list[Any] = [pipeline.encode_prompts(["a star"]).parts["pooled"] for pipeline in (policy, base)]
    assert not torch.allclose(told[0], told[1])
