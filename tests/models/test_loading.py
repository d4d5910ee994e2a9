"""Base models are loaded strictly, and the record does what diffusers does."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from huggingface_hub.errors import GatedRepoError
from safetensors.torch import load_file, save_file

from benchmark.core.errors import MissingFileError, MissingWeightsError, UserError
from benchmark.models import load_pipeline as load_any
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from benchmark.models.loading import resolve_precision

load_pipeline = cast("Callable[..., Pipeline]", load_any)


CPU = torch.device("cpu")


@pytest.fixture
def copied(tiny_pipeline_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny folder that a test may damage."""
    return shutil.copytree(tiny_pipeline_folder, tmp_path / "copy")


def edit_weights(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(file)
    change(state)
    save_file(state, file, metadata={"format": "pt"})


def test_all_parts_are_frozen_and_in_float32_although_the_files_are_in_half(tiny_pipeline: Pipeline) -> None:
    for part in (tiny_pipeline.unet, tiny_pipeline.vae, tiny_pipeline.text_encoder):
        assert {p.dtype for p in part.parameters()} == {torch.float32}
        assert not any(p.requires_grad for p in part.parameters())
        assert not part.training
    assert tiny_pipeline.latent_shape == (4, 16, 16)
    assert (tiny_pipeline.latent_size, tiny_pipeline.image_size) == (1024, 64)


def test_a_folder_is_named_by_its_weights(tiny_pipeline: Pipeline, copied: Path) -> None:
    same = load_pipeline(str(copied), precision="fp32")
    assert same.name == f"copy@{tiny_pipeline.revision[:8]}"
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    edit_weights(file, lambda state: state["conv_out.bias"].add_(1))
    assert load_pipeline(str(copied), precision="fp32").name != same.name


@pytest.mark.parametrize(
    ("part", "name", "key"),
    [
        ("unet", "diffusion_pytorch_model", "conv_in.weight"),
        ("vae", "diffusion_pytorch_model", "decoder.conv_out.bias"),
        ("text_encoder", "model", "final_layer_norm.weight"),
    ],
)
def test_a_missing_or_foreign_weight_is_an_error(copied: Path, part: str, name: str, key: str) -> None:
    file = copied / part / f"{name}.safetensors"
    edit_weights(file, lambda state: state.update(foreign=torch.zeros(1)))
    with pytest.raises(UserError, match="unexpected weights: .*foreign"):
        load_pipeline(str(copied))
    edit_weights(file, lambda state: (state.pop("foreign"), state.pop(_full_name(state, key))))
    with pytest.raises(UserError, match=f"missing weights: .*{key}"):
        load_pipeline(str(copied))


def _full_name(state: dict[str, torch.Tensor], key: str) -> str:
    return next(name for name in state if name.endswith(key))


def test_damaged_files_give_one_line(copied: Path) -> None:
    (copied / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="cannot read .*unet.* as weights of a UNet2DConditionModel"):
        load_pipeline(str(copied))
    shutil.rmtree(copied / "text_encoder")
    shutil.rmtree(copied / "unet")
    with pytest.raises(MissingFileError, match="unet"):
        load_pipeline(str(copied))


def test_offline_names_what_is_missing_and_how_to_get_it() -> None:
    with pytest.raises(MissingWeightsError, match=r"owner/nothing.*hf download owner/nothing"):
        load_pipeline("owner/nothing", offline=True)


def test_a_gated_repository_says_whose_licence_to_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        answer: Any = SimpleNamespace(headers={}, request=None)
        raise GatedRepoError("403", response=answer)

    monkeypatch.setattr("benchmark.models.hub._listed", lambda _: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", refused)
    with pytest.raises(MissingWeightsError, match=r"licence.*huggingface.co/owner/gated.*hf auth login"):
        load_pipeline("owner/gated")


def test_the_layout_of_published_text_encoders_loads_too(copied: Path, tiny_pipeline: Pipeline) -> None:
    # transformers writes no `text_model.` any more; the published folders have it, and position_ids.
    file = copied / "text_encoder" / "model.safetensors"
    state = {f"text_model.{k.removeprefix('text_model.')}": v for k, v in load_file(file).items()}
    state["text_model.embeddings.position_ids"] = torch.arange(32)[None]
    save_file(state, file, metadata={"format": "pt"})
    published = load_pipeline(str(copied), precision="fp32")
    theirs, ours = (one.encode_prompts(["a star"]).parts["states"] for one in (published, tiny_pipeline))
    assert torch.equal(theirs, ours)


def test_text_embeddings_have_the_contexts_shape_and_cut_what_is_too_long(tiny_pipeline: Pipeline) -> None:
    states = tiny_pipeline.encode_prompts(["a star", "long " * 50]).parts["states"]
    assert states.shape == (2, 32, 16)
    assert not torch.equal(states[0], states[1])


def test_images_become_latents_and_latents_images(tiny_pipeline: Pipeline) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    latents = tiny_pipeline.encode_images(images)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        mode = tiny_pipeline.vae.encode(pixels).latent_dist.mode() * tiny_pipeline.vae.config.scaling_factor
    torch.testing.assert_close(latents, mode)
    decoded = tiny_pipeline.decode(latents)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_the_target_recovers_the_latents(tiny_pipeline: Pipeline, kind: str) -> None:
    """One DDIM step of a perfect prediction gives back the latents it was made from."""
    from dataclasses import replace

    config = {**tiny_pipeline.scheduler.config, "prediction_type": kind}
    pipeline = replace(tiny_pipeline, scheduler=DDIMScheduler.from_config(config))
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(1, 4, 16, 16, generator=generator) for _ in range(2))
    t = torch.tensor([500])
    noisy = pipeline.scheduler.add_noise(latents, noise, t)
    pipeline.scheduler.set_timesteps(10)
    step = pipeline.scheduler.step(pipeline.target(latents, noise, t), 500, noisy)
    torch.testing.assert_close(step.pred_original_sample, latents, atol=1e-4, rtol=1e-4)


def test_precision_is_said_or_asked_of_the_machine() -> None:
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("bf16", CPU) == "bf16"
    assert resolve_precision("auto", CPU) in {"fp32", "bf16"}
    with pytest.raises(UserError, match="allowed: auto, fp32, bf16"):
        resolve_precision("fp16", CPU)
