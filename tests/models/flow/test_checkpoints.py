"""Adapters and checkpoints of every flow family open in every layout and spelling."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from benchmark.core.errors import NotComparableError, UserError
from benchmark.generate import sample
from benchmark.models import open_checkpoint
from benchmark.models.flow.pipeline import FlowPipeline
from tools.random_flow import diffusers_images, published

PROMPTS = ["a star", "two hearts", ""]
SEEDS = [7, 8, 9]
SCALE = 3.0
TEXT = ["q_proj", "v_proj", "out_proj"]


def config(targets: list[str]) -> LoraConfig:
    """Alpha is not the rank, and the weights are large."""
    return LoraConfig(r=2, lora_alpha=int(2 * SCALE), target_modules=targets, init_lora_weights=False)


def adapted(part: Any, targets: list[str]) -> Any:
    """A copy of a network with a LoRA."""
    found = copy.deepcopy(part)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        found.add_adapter(config(targets))
    return found


@pytest.fixture(scope="session")
def lora(flow_base: FlowPipeline) -> dict[str, Tensor]:
    """A LoRA of all layers of the transformer, as PEFT names it."""
    transformer = adapted(flow_base.transformer, list(flow_base.lora_targets("all")))
    return {name: value.contiguous() for name, value in get_peft_model_state_dict(transformer).items()}


def check_merged(base: FlowPipeline, lora: dict[str, Tensor], place: Path, scale: float) -> None:
    """The checkpoint's weights are W + scale B A."""
    wanted = {name: value.clone() for name, value in base.transformer.state_dict().items()}
    for name, down in lora.items():
        if ".lora_A." in name:
            layer = name.removesuffix(".lora_A.weight")
            weight, up = wanted[f"{layer}.weight"], lora[f"{layer}.lora_B.weight"]
            weight += scale * (up.flatten(1) @ down.flatten(1)).view(weight.shape)
    found = open_checkpoint(str(place), base)[1].network.state_dict()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)


def test_a_lora_of_all_its_parts_is_equal_to_plain_diffusers(
    flow_family: str, flow_folder: Path, flow_base: FlowPipeline, tmp_path: Path
) -> None:
    parts = {}
    for name in flow_base.family.folders.adapted:
        targets = list(flow_base.lora_targets("all")) if name == "transformer" else TEXT
        parts[name] = adapted(getattr(flow_base, name), targets)
    saved = {f"{name}_lora_layers": get_peft_model_state_dict(part) for name, part in parts.items()}
    flow_base.writer().save_lora_weights(tmp_path, **saved, **_collate_lora_metadata(parts))
    _, policy = open_checkpoint(str(tmp_path), flow_base)
    sampler = replace(flow_base.sampler, steps=4, batch_size=3)
    ours = sample(policy, PROMPTS, SEEDS, sampler).astype(int)
    theirs = diffusers_images(flow_family, flow_folder, PROMPTS, SEEDS, sampler, tmp_path)
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - sample(flow_base, PROMPTS, SEEDS, sampler)).max() > 5
    for name in parts:
        assert any(
            not torch.equal(mine, own)
            for mine, own in zip(
                getattr(policy, name).parameters(), getattr(flow_base, name).parameters(), strict=True
            )
        )


def test_a_peft_folder_opens_with_its_alpha(
    flow_base: FlowPipeline, lora: dict[str, Tensor], tmp_path: Path
) -> None:
    own = {f"base_model.model.{name}": value for name, value in lora.items()}
    save_file(own, tmp_path / "adapter_model.safetensors")
    config(list(flow_base.lora_targets("all"))).save_pretrained(str(tmp_path))
    check_merged(flow_base, lora, tmp_path, SCALE)


def kohya(name: str) -> str:
    layer, _, end = name.rpartition(".lora_")
    return f"lora_unet_{layer.replace('.', '_')}.lora_{'down' if end[0] == 'A' else 'up'}.weight"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "diffusers": lambda name: f"transformer.{name}",
    "bare": lambda name: name,
    "lightning": lambda name: name.replace("lora_A", "lora_down").replace("lora_B", "lora_up"),
    "PEFT": lambda name: f"transformer.{name}".replace(".weight", ".default.weight"),
    "DiffSynth": lambda name: f"transformer.{name}".replace(".weight", ".default_0.default.weight"),
    "DiffSynth, bare": lambda name: name.replace(".weight", ".default.weight"),
    "kohya": kohya,
    "OneTrainer": lambda name: kohya(name).replace("lora_unet_", "lora_transformer_"),
    "ComfyUI, ai-toolkit": lambda name: f"diffusion_model.{name}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_layer_is_found_in_every_spelling(
    flow_base: FlowPipeline, lora: dict[str, Tensor], spelling: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.safetensors"
    save_file({SPELLINGS[spelling](name): value for name, value in lora.items()}, file)
    check_merged(flow_base, lora, file, 1)  # nobody states a scale, so alpha is the rank


def test_what_is_of_another_model_is_refused(
    flow_family: str, flow_base: FlowPipeline, tmp_path: Path
) -> None:
    other, file = published(flow_family).other, tmp_path / "x.safetensors"
    save_file({f"{other}.lora_A.weight": torch.ones(2, 16)}, file)
    with pytest.raises(UserError, match=f"no place in that model: {other}.*--base"):
        open_checkpoint(str(file), flow_base)
    kind: Any = type(flow_base.transformer)
    kind.from_config({**flow_base.config, "num_layers": 3}).save_pretrained(tmp_path / "deep" / "transformer")
    with pytest.raises(NotComparableError, match="num_layers 3, not 2"):
        open_checkpoint(str(tmp_path / "deep"), flow_base)


def test_a_transformer_opens_from_every_place_it_may_lie_in(
    flow_base: FlowPipeline, flow_folder: Path, tmp_path: Path
) -> None:
    other = flow_base.empty_network()
    flow_base.save_network(other, tmp_path / "mine")
    whole = shutil.copytree(flow_folder, tmp_path / "whole")
    shutil.copytree(tmp_path / "mine" / "transformer", whole / "transformer", dirs_exist_ok=True)
    for place in (tmp_path / "mine", tmp_path / "mine" / "transformer", whole):
        _, policy = open_checkpoint(str(place), flow_base)
        for name, value in policy.network.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])
