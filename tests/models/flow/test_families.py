"""Every flow family opens, is told of prompts and is sampled as plain diffusers does it with its folders."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.core.errors import UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import denoise, sample
from benchmark.models import default_sampling, load_pipeline, model_facts, models
from benchmark.models.conditioning import Conditioning
from benchmark.models.flow.images import packed, unpacked
from benchmark.models.flow.pipeline import FlowPipeline
from benchmark.models.flow.texts import language_dtype
from benchmark.models.hub import wanted_files
from tools.random_flow import diffusers_images, diffusers_told, published

PROMPTS = ["a star", " Two  HEARTS, " * 20, ""]
SEEDS = [7, 8, 9]


def dtypes(network: torch.nn.Module) -> set[torch.dtype]:
    return {weight.dtype for weight in network.parameters()}


def test_a_folder_opens_as_what_it_is(flow_family: str, flow_folder: Path, flow_base: FlowPipeline) -> None:
    known, facts = published(flow_family), model_facts(str(flow_folder))
    assert facts.family is flow_base.family
    assert facts.latent_shape == flow_base.latent_shape == (4, 16, 16)
    assert facts.image_size == flow_base.image_size == 64
    own = flow_base.sampler
    assert (own.name, own.steps, own.guidance) == known.sampling
    assert own.signature.startswith(f"sampler:{own.name}-{own.steps}|cfg:{own.guidance}|")
    assert str(flow_base.density(None)) == known.density
    for part in (flow_base.transformer, flow_base.vae, *(encoder for _, encoder in flow_base.text_parts())):
        assert dtypes(part) == {torch.float32}
        assert not part.training


def test_models_that_come_by_name_have_the_published_sizes(flow_family: str) -> None:
    own = [facts for name in models.names() if (facts := model_facts(name)).family is not None]
    of_hub = [f for f in own if f.hub_id and f.family is not None and f.family.name == flow_family]
    assert {f.name: (f.image_size, f.latent_shape) for f in of_hub} == published(flow_family).models
    for facts in of_hub:
        assert facts.sampler.name == published(flow_family).sampling[0]
        assert facts.licence


def test_of_a_published_repository_only_what_is_needed_is_fetched(flow_family: str) -> None:
    known = published(flow_family)
    assert wanted_files([*known.needed, *known.more]) == sorted(known.needed)


def test_a_folder_of_another_family_is_refused(
    flow_family: str, flow_base: FlowPipeline, published_folder: Callable[..., Path]
) -> None:
    other = published_folder("sd15")
    with pytest.raises(UserError, match=f"names no pipeline of {flow_family}"):
        type(flow_base).open(other, model_facts(str(other)), torch.device("cpu"), "fp32", "")


def test_a_part_that_lacks_is_named(flow_folder: Path, flow_base: FlowPipeline, tmp_path: Path) -> None:
    folders = flow_base.family.folders
    for part in (*folders.networks, *folders.tokenizers, "scheduler"):
        lacking = shutil.copytree(flow_folder, tmp_path / part, ignore=shutil.ignore_patterns(part))
        with pytest.raises(UserError, match=rf"{part}/{part}\b"):
            load_pipeline(str(lacking))


def test_a_model_of_the_hub_is_sampled_as_its_folder_says(
    flow_family: str,
    flow_folder: Path,
    flow_base: FlowPipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository, commit = tmp_path / "models--somebody--tuned", "c" * 40
    shutil.copytree(flow_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    facts = model_facts("somebody/tuned")
    assert (facts.family, facts.sampler.name) == (None, "ddim")
    sampling = default_sampling(facts)
    assert (sampling.name, sampling.steps, sampling.guidance) == published(flow_family).sampling
    pipeline = load_pipeline("somebody/tuned", precision="fp32", offline=True)
    assert (pipeline.name, pipeline.revision) == ("somebody/tuned", commit)
    assert (pipeline.sampler, pipeline.latent_shape) == (flow_base.sampler, flow_base.latent_shape)
    # Nothing is known of one that is not here.
    assert default_sampling(model_facts("somebody/else")).name == "ddim"


# --- prompts ------------------------------------------------------------------------------------------------


def test_prompts_are_encoded_as_diffusers_encodes_them(
    flow_family: str, flow_folder: Path, flow_base: FlowPipeline
) -> None:
    ours = flow_base.encode_prompts(PROMPTS), flow_base.encode_empty()
    for told, theirs in zip(ours, diffusers_told(flow_family, flow_folder, PROMPTS), strict=True):
        assert told.parts.keys() == theirs.keys()
        for name, wanted in theirs.items():
            close = 2e-6 * float(wanted.abs().max())
            torch.testing.assert_close(told.parts[name], wanted, rtol=1e-6, atol=close)
    assert ours[0].shapes == ours[1].shapes
    for part in ours[0].parts.values():
        assert not torch.allclose(part[0], part[1])


def test_every_part_of_the_conditioning_reaches_the_transformer(flow_base: FlowPipeline) -> None:
    told, sigma = flow_base.encode_prompts(PROMPTS[:1]), torch.tensor(0.5)
    noisy = torch.ones(1, *flow_base.latent_shape)
    with torch.no_grad():
        usual = flow_base.predict(flow_base.transformer, noisy, sigma, told)
        for name, part in told.parts.items():
            other = Conditioning({**told.parts, name: 1 - part})
            changed = flow_base.predict(flow_base.transformer, noisy, sigma, other)
            assert not torch.allclose(changed, usual, atol=1e-6), name


def test_large_text_encoders_are_kept_in_bfloat16_where_that_is_run_in(
    flow_family: str, flow_folder: Path, flow_base: FlowPipeline
) -> None:
    language, part = published(flow_family).language
    half = load_pipeline(str(flow_folder), precision="bf16")
    assert isinstance(half, FlowPipeline)
    for _, encoder in half.text_parts():
        large = encoder is getattr(half, language)
        assert dtypes(encoder) == {torch.bfloat16 if large else torch.float32}
    told, full = half.encode_prompts(PROMPTS), flow_base.encode_prompts(PROMPTS)
    assert {one.dtype for one in told.parts.values()} == {torch.float32}
    torch.testing.assert_close(told.parts[part], full.parts[part], rtol=0.1, atol=0.1)
    assert not torch.equal(told.parts[part], full.parts[part])
    assert half.prompt_encoders_id() != flow_base.prompt_encoders_id()


def test_in_fp16_language_models_overflow_and_stay_in_float32() -> None:
    assert [language_dtype(p) for p in ("fp32", "fp16")] == [torch.float32] * 2


# --- images -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guided", [True, False])
def test_latents_and_images_are_those_of_plain_diffusers(
    flow_family: str, flow_folder: Path, flow_base: FlowPipeline, guided: bool
) -> None:
    """Latents within 2e-5 of diffusers' for the same noise, pixels within one of 255."""
    guidance = flow_base.sampler.guidance if guided else 1.0
    sampler = replace(flow_base.sampler, steps=4, batch_size=3, guidance=guidance)

    def theirs(**settings: Any) -> np.ndarray:
        return diffusers_images(flow_family, flow_folder, PROMPTS, SEEDS, sampler, **settings)

    with torch.no_grad():
        ours = denoise(flow_base, told_of(flow_base, sampler), SEEDS, sampler)
    wanted = torch.from_numpy(theirs(output_type="latent"))
    torch.testing.assert_close(ours if wanted.ndim == 4 else packed(ours), wanted, rtol=2e-5, atol=2e-5)
    images = sample(flow_base, PROMPTS, SEEDS, sampler).astype(int)
    assert np.abs(images - theirs()).max() <= 1


def told_of(base: FlowPipeline, sampler: Sampler) -> Conditioning:
    """What a sampler tells: the scale, or no prompt first where there is guidance."""
    told = base.encode_prompts(PROMPTS)
    scaled = base.tell_guidance(told, sampler.guidance)
    if scaled is not None or sampler.guidance == 1:
        return scaled or told
    return Conditioning.cat([base.encode_empty().repeat(len(PROMPTS)), told])


def test_packed_latents_are_diffusers_tokens() -> None:
    from diffusers import FluxPipeline, QwenImagePipeline

    latents = torch.randn((2, 4, 6, 8), generator=torch.Generator().manual_seed(0))
    for pipe in (FluxPipeline, QwenImagePipeline):
        published_: Any = pipe
        assert torch.equal(packed(latents), published_._pack_latents(latents, 2, 4, 6, 8))
    assert torch.equal(unpacked(packed(latents), 6), latents)


# --- training -----------------------------------------------------------------------------------------------


def test_gradients_are_the_same_with_checkpointing(flow_folder: Path) -> None:
    found = []
    for checkpointing in (False, True):
        pipeline = load_pipeline(str(flow_folder), precision="fp32")
        network: Any = pipeline.trainable(gradient_checkpointing=checkpointing).requires_grad_(True).train()
        assert network.is_gradient_checkpointing == checkpointing
        noisy, sigma = torch.ones(2, *pipeline.latent_shape), torch.tensor([0.3, 0.6])
        output = pipeline.predict(network, noisy, sigma, pipeline.encode_prompts(PROMPTS[:2]))
        output.square().mean().backward()
        found.append({name: weight.grad for name, weight in network.named_parameters()})
    for name, gradient in found[0].items():
        if gradient is None:
            assert found[1][name] is None
        else:
            assert torch.equal(gradient, found[1][name]), name


def test_blocks_are_what_is_sharded(flow_base: FlowPipeline) -> None:
    network = flow_base.network
    named = [
        m for name, m in network.named_modules() if re.fullmatch(r"(\w+_)?transformer_blocks\.\d+", name)
    ]
    assert named
    assert flow_base.blocks_to_shard(network) == named
