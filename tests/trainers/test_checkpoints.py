"""Checkpoints are what plain diffusers opens, and say what they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from benchmark.core.errors import UnreadableFileError
from benchmark.models import load_pipeline as load_any
from benchmark.models import open_checkpoint
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.checkpoints import label, load_resume, read_checkpoint, save_resume
from trainers.config import TrainConfig
from trainers.networks import FullPolicy, LoraPolicy, Policy, base_network
from trainers.train import train

load_pipeline = cast("Callable[..., Pipeline]", load_any)


Settings = Callable[..., TrainConfig]


@pytest.fixture
def pipeline(tiny_pipeline_folder: Path) -> Pipeline:
    return load_pipeline(str(tiny_pipeline_folder), precision="fp32")


def output_of(unet: Any) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    noisy, text = torch.randn(2, 4, 16, 16, generator=g), torch.randn(2, 32, 16, generator=g)
    with torch.no_grad():
        out: torch.Tensor = unet(noisy, torch.tensor([10, 900]), text, return_dict=False)[0]
    return out


def disturbed(policy: Policy) -> Policy:
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in policy.parameters.values():
            p.add_(0.05 * torch.randn(p.shape, generator=g))
    return policy


@pytest.mark.parametrize("targets", ["attention", "all"])
def test_plain_diffusers_opens_a_lora(
    pipeline: Pipeline, tiny_pipeline_folder: Path, tmp_path: Path, targets: Any
) -> None:
    shared = base_network(pipeline)
    other = disturbed(LoraPolicy(shared, "other", 2, targets, 0))
    policy = disturbed(LoraPolicy(shared, "mine", 4, targets, 0))
    with policy.active() as unet:
        wanted = output_of(unet)
    with other.active(), shared.reference() as unet:
        base = output_of(unet)
    assert policy.save(tmp_path) == "lora"
    assert [p.name for p in tmp_path.iterdir()] == ["pytorch_lora_weights.safetensors"]
    plain = StableDiffusionPipeline.from_pretrained(tiny_pipeline_folder)
    torch.testing.assert_close(output_of(plain.unet), base, rtol=1e-4, atol=1e-5)
    plain.load_lora_weights(tmp_path)
    torch.testing.assert_close(output_of(plain.unet), wanted, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(wanted, base, atol=1e-3)


def test_equal_weights_make_equal_files(pipeline: Pipeline, tmp_path: Path) -> None:
    shared = base_network(pipeline)
    for name in "abcdef":
        disturbed(LoraPolicy(shared, name, 2, "attention", 0)).save(tmp_path / name)
    files = {(tmp_path / name / "pytorch_lora_weights.safetensors").read_bytes() for name in "abcdef"}
    assert len(files) == 1


def test_plain_diffusers_opens_a_full_policy(pipeline: Pipeline, tmp_path: Path) -> None:
    policy = disturbed(FullPolicy(base_network(pipeline)))
    with policy.active() as unet:
        wanted = output_of(unet)
    assert policy.save(tmp_path) == "full"
    plain = UNet2DConditionModel.from_pretrained(tmp_path / "unet")
    torch.testing.assert_close(output_of(plain), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lora_rank", [4, "full"])
def test_the_record_says_what_was_trained_and_evaluation_opens_it(
    settings: Settings, pipeline: Pipeline, lora_rank: Any
) -> None:
    config = settings(divergence="alpha(a=0.3)", lora_rank=lora_rank, steps=2, seed=5)
    result = train(config)
    found = result.checkpoint
    assert found.path is not None
    assert read_checkpoint(found.path) == found
    assert (found.base_model, found.objective, found.step) == (pipeline.name, "f_dpo", 2)
    assert found.divergence == "alpha(a=0.3, knee=10.0)"
    wanted = {
        "beta": 1.0,
        "log_ratio_scale": 100.0,
        "lr": 1e-2,
        "seed": 5,
        "batch_size": 4,
        "lora_rank": lora_rank,
    }
    assert wanted.items() <= dict(found.hyperparameters).items()
    assert found.data_sha256
    content = json.loads((found.path / "checkpoint.json").read_text())
    assert content["format"] == ("full" if lora_rank == "full" else "lora")
    assert "path" not in content
    opened, policy = open_checkpoint(str(config.out), pipeline)
    assert opened.id == found.id
    assert not torch.equal(output_of(policy.unet), output_of(pipeline.unet))


def test_ids_differ_with_the_weights(settings: Settings) -> None:
    results = [train(settings(f"r{lr}", lr=lr, steps=1, held_out_pairs=0)) for lr in (1e-2, 1e-3)]
    ids = [r.checkpoint.id for r in results]
    assert ids[0] != ids[1]
    assert ids[0].rpartition("-")[0] == ids[1].rpartition("-")[0] == "f_dpo-reverse_kl-beta1-seed0-step1"


def test_labels_can_be_file_names() -> None:
    text = label("rpo(tau=0.3)", "mine.py:Odd(x='a/b')", {"beta": 0.5, "seed": 0}, 10)
    assert not set(text) & set('/\\:*?"<>|() ')


def test_a_resume_file_of_other_settings_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert load_resume(tmp_path, {"lr": 1}) is None
    save_resume(tmp_path, {"step": 3}, {"lr": 1})
    assert load_resume(tmp_path, {"lr": 1}) == {"step": 3}
    with pytest.raises(UnreadableFileError, match="other settings"):
        load_resume(tmp_path, {"lr": 2})
    (tmp_path / "resume.pt").write_bytes(b"half a file")
    with pytest.raises(UnreadableFileError, match="delete it"):
        load_resume(tmp_path, {"lr": 1})
