"""Folders in the layouts of the published SD 1.5 and SDXL open as plain diffusers opens them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmark.core.errors import MissingFileError, NotComparableError, UserError
from benchmark.models import load_pipeline as load_any
from benchmark.models import model_facts, open_checkpoint
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.unet import pipeline as room
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from benchmark.models.hub import wanted_files

load_pipeline = cast("Callable[..., Pipeline]", load_any)


Folder = Callable[..., Path]
FAMILIES = ["sd15", "sdxl"]
PROMPTS = ["a red star", "", "two hearts, " * 20]


def plain(folder: Path) -> Any:
    """The pipeline as a script without fbench opens it."""
    if (folder / "text_encoder_2").is_dir():
        return StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    return StableDiffusionPipeline.from_pretrained(folder)


def keys(file: Path) -> set[str]:
    with safe_open(file, "pt") as opened:
        return set(opened.keys())


@pytest.fixture
def copied(published_folder: Folder, tmp_path: Path) -> Path:
    """A copy of the tiny SDXL folder that a test may change."""
    return shutil.copytree(published_folder("sdxl"), tmp_path / "copy")


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_fixtures_have_the_published_names(published_folder: Folder, family: str) -> None:
    folder = published_folder(family)
    text = keys(folder / "text_encoder" / "model.safetensors")
    assert "text_model.encoder.layers.0.self_attn.q_proj.weight" in text
    assert all(key.startswith("text_model.") for key in text)
    vae = keys(folder / "vae" / "diffusion_pytorch_model.safetensors")
    older = family == "sd15"
    assert ("decoder.mid_block.attentions.0.query.weight" in vae) == older
    assert ("decoder.mid_block.attentions.0.to_q.weight" in vae) == (not older)
    if family == "sdxl":
        second = keys(folder / "text_encoder_2" / "model.safetensors")
        assert {"text_projection.weight", "text_model.final_layer_norm.weight"} <= second


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_folder_opens_as_what_it_is(published_folder: Folder, family: str, prediction: str) -> None:
    folder = published_folder(family, prediction)
    pipeline = load_pipeline(str(folder), precision="fp32")
    assert (pipeline.is_xl, pipeline.prediction_type) == (family == "sdxl", prediction)
    assert (pipeline.latent_shape, pipeline.image_size) == ((4, 16, 16), 64)
    facts = model_facts(str(folder))
    assert facts.latent_shape == pipeline.latent_shape
    assert pipeline.sampler.guidance == (5.0 if family == "sdxl" else 7.5)
    assert pipeline.vae.config.scaling_factor == (0.13025 if family == "sdxl" else 0.18215)
    for _, encoder in pipeline.text_parts:
        assert {p.dtype for p in encoder.parameters()} == {torch.float32}
        assert not encoder.training


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_are_encoded_as_diffusers_encodes_them(published_folder: Folder, family: str) -> None:
    folder = published_folder(family)
    said = load_pipeline(str(folder), precision="fp32").encode_prompts(PROMPTS)
    theirs = plain(folder).encode_prompt(
        prompt=PROMPTS, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    torch.testing.assert_close(said.parts["states"], theirs[0], rtol=1e-6, atol=1e-6)
    assert list(said.parts) == (["states", "pooled"] if family == "sdxl" else ["states"])
    if family == "sdxl":
        torch.testing.assert_close(said.parts["pooled"], theirs[2], rtol=1e-6, atol=1e-6)
    assert not torch.allclose(said.parts["states"][0], said.parts["states"][2])


@pytest.mark.parametrize("zeros", [True, False, None])
def test_no_prompt_is_zeros_or_the_empty_prompt_as_the_folder_says(copied: Path, zeros: bool | None) -> None:
    index = json.loads((copied / "model_index.json").read_text())
    del index["force_zeros_for_empty_prompt"]
    index |= {} if zeros is None else {"force_zeros_for_empty_prompt": zeros}
    (copied / "model_index.json").write_text(json.dumps(index))
    empty = load_pipeline(str(copied), precision="fp32").encode_empty()
    _, states, _, pooled = plain(copied).encode_prompt(
        "a star", device="cpu", do_classifier_free_guidance=True
    )
    torch.testing.assert_close(empty.parts["states"], states, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(empty.parts["pooled"], pooled, rtol=1e-6, atol=1e-6)
    assert bool(empty.parts["states"].any()) == (zeros is False)


def test_images_to_be_made_are_told_as_diffusers_tells_them(published_folder: Folder) -> None:
    folder = published_folder("sdxl")
    pipeline, pipe = load_pipeline(str(folder), precision="fp32"), plain(folder)
    theirs = pipe._get_add_time_ids(
        (64, 64), (0, 0), (64, 64), dtype=torch.float32, text_encoder_projection_dim=12
    )
    told = pipeline.encode_prompts(["a star", "two hearts", ""])
    noisy, t = torch.ones(3, 4, 16, 16), torch.tensor(500)
    given = {"text_embeds": told.parts["pooled"], "time_ids": theirs.repeat(3, 1)}
    with torch.no_grad():
        found = pipeline.predict(pipeline.unet, noisy, t, told)
        wanted = pipeline.unet(noisy, t, told.parts["states"], added_cond_kwargs=given).sample
    assert torch.equal(found, wanted)


def test_every_part_of_the_conditioning_reaches_the_unet(
    published_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load_pipeline(str(published_folder("sdxl")), precision="fp32")
    text = pipeline.encode_prompts(["a star"])
    sizes, room_time_ids = torch.tensor([[64.0, 64.0, 0.0, 0.0]]), room.time_ids

    def said(text: Conditioning, sizes: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return pipeline.predict(pipeline.unet, torch.ones(1, 4, 16, 16), torch.tensor(500), text, sizes)

    usual, parts = said(text, sizes), text.parts
    changed = [
        *(said(Conditioning({**parts, name: parts[name] + 1}), sizes) for name in parts),
        *(said(text, sizes + 5 * torch.eye(4)[i]) for i in range(4)),
    ]
    for i in (4, 5):  # what the model itself sees, which is no input
        with monkeypatch.context() as patch:
            patch.setattr(room, "time_ids", lambda *given, i=i: room_time_ids(*given) + 5 * torch.eye(6)[i])
            changed.append(said(text, sizes))
    for one in changed:
        assert not torch.allclose(one, usual, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_record_of_several_prompts_is_cut_joined_and_repeated(pooled: bool) -> None:
    states = torch.arange(24.0).view(4, 3, 2)
    text = Conditioning({"states": states, **({"pooled": states[:, 0]} if pooled else {})})
    again = Conditioning.cat([text[:1], text[1:]])
    twice = text.repeat(2)
    assert (len(text), len(text[torch.tensor([2, 0])]), len(twice)) == (4, 2, 8)
    assert text.shapes == {"states": (3, 2), **({"pooled": (2,)} if pooled else {})}
    flat = text.flat()
    assert flat.shape == (4, 8 if pooled else 6)
    back = Conditioning.from_flat(flat, text.shapes)
    for name, whole in text.parts.items():
        assert torch.equal(again.parts[name], whole)
        assert torch.equal(back.parts[name], whole)
        assert torch.equal(twice.parts[name], torch.cat([whole, whole]))
        assert not text.zeros().parts[name].any()
    assert list(back.parts) == list(twice.parts) == list(text.parts)


@pytest.mark.parametrize("key", ["text_projection.weight", "text_model.final_layer_norm.weight"])
def test_a_second_encoder_that_lacks_a_weight_is_refused(copied: Path, key: str) -> None:
    file = copied / "text_encoder_2" / "model.safetensors"
    state = load_file(file)
    save_file({k: v for k, v in state.items() if k != key}, file, metadata={"format": "pt"})
    with pytest.raises(
        UserError, match=f"text_encoder_2.*missing weights: .*{key.removeprefix('text_model.')}"
    ):
        load_pipeline(str(copied))
    shutil.rmtree(copied / "tokenizer_2")
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(MissingFileError, match="tokenizer_2"):
        load_pipeline(str(copied))


def test_an_autoencoder_with_other_scaling_is_refused(copied: Path) -> None:
    edit(copied / "vae" / "config.json", latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    with pytest.raises(UserError, match="latents_mean.*allowed: one scaling_factor"):
        load_pipeline(str(copied))


def test_in_fp16_an_autoencoder_that_would_overflow_stays_in_float32(published_folder: Folder) -> None:
    def latents(pipeline: Pipeline) -> torch.Tensor:
        images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
        return pipeline.encode_images(images)

    full = load_pipeline(str(published_folder("sdxl")), precision="fp32")
    half = replace(full, precision="fp16")
    assert torch.equal(latents(half), latents(full))
    fixed = AutoencoderKL.from_config({**full.vae.config, "force_upcast": False})
    fixed.load_state_dict(full.vae.state_dict())
    assert not torch.equal(latents(replace(half, vae=fixed)), latents(full))


def test_weights_cut_into_parts_open_too(published_folder: Folder, tmp_path: Path) -> None:
    sdxl = load_pipeline(str(published_folder("sdxl")), precision="fp32")
    unet = UNet2DConditionModel.from_config(sdxl.unet.config)
    unet.save_pretrained(tmp_path / "unet", max_shard_size="100KB")
    assert len(list((tmp_path / "unet").glob("*-of-*.safetensors"))) > 1
    _, policy = open_checkpoint(str(tmp_path), sdxl)
    for name, weight in policy.unet.state_dict().items():
        assert torch.equal(weight, unet.state_dict()[name])


def test_images_are_encoded_alike_however_many_at_once(
    published_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = load_pipeline(str(published_folder("sdxl")), precision="fp32")
    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    together = pipeline.encode_images(images)
    monkeypatch.setattr(room, "ENCODED_PIXELS", 2 * 64 * 64)
    assert together.is_contiguous()
    torch.testing.assert_close(pipeline.encode_images(images), together, rtol=1e-5, atol=1e-6)
    assert together.shape == (5, 4, 16, 16)


def test_a_whole_folder_is_a_checkpoint_of_its_own_family_only(
    published_folder: Folder, copied: Path
) -> None:
    sdxl, sd15 = (load_pipeline(str(published_folder(f)), precision="fp32") for f in ("sdxl", "sd15"))
    file = copied / "text_encoder_2" / "model.safetensors"
    save_file({k: v * 1.5 for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
    _, policy = open_checkpoint(str(copied), sdxl)
    # All of its parts count, not the UNet alone.
    assert policy.is_xl
    assert not torch.equal(
        policy.encode_prompts(["a"]).parts["states"], sdxl.encode_prompts(["a"]).parts["states"]
    )
    with pytest.raises(NotComparableError, match="cross_attention_dim"):
        open_checkpoint(str(copied), sd15)


def test_of_a_published_repository_only_what_is_needed_is_fetched() -> None:
    networks = {
        "text_encoder": "model", "text_encoder_2": "model", "unet": "diffusion_pytorch_model",
        "vae": "diffusion_pytorch_model",
    }  # fmt: skip
    needed = [
        "model_index.json", "scheduler/scheduler_config.json",
        *(f"{part}/config.json" for part in networks),
        *(f"{part}/{name}.safetensors" for part, name in networks.items()),
        *(f"tokenizer{n}/{f}" for n in ("", "_2")
          for f in ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")),
    ]  # fmt: skip
    others = [
        "README.md", "LICENSE.md", ".gitattributes", "sd_xl_base_1.0.safetensors", "01.png",
        "sd_xl_offset_example-lora_1.0.safetensors", "vae_1_0/config.json", "vae_decoder/config.json",
        "vae_1_0/diffusion_pytorch_model.safetensors", "vae_decoder/model.onnx", "vae_encoder/config.json",
        "safety_checker/config.json", "safety_checker/model.safetensors", "v1-5-pruned.ckpt",
        "feature_extractor/preprocessor_config.json", "unet/diffusion_pytorch_model.non_ema.safetensors",
        *(f"{part}/{name}.fp16.safetensors" for part, name in networks.items()),
        *(f"{part}/{file}" for part in networks for file in
          ("model.onnx", "model.onnx_data", "openvino_model.bin", "flax_model.msgpack", "pytorch_model.bin")),
    ]  # fmt: skip
    assert set(wanted_files([*needed, *others])) == set(needed)
    adapters = ["pytorch_lora_weights.bin", "unet/adapter_config.json", "unet/adapter_model.safetensors"]
    assert wanted_files([*adapters, "README.md", "optimizer.bin"]) == sorted(adapters)
    # Weights of more than 10 GB, such as a trained SDXL UNet, are saved in parts.
    parts = ["unet/config.json", "unet/diffusion_pytorch_model.safetensors.index.json"]
    parts += [f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert wanted_files([*parts, "unet/diffusion_pytorch_model-00001-of-00002.bin"]) == sorted(parts)
