"""Qwen-Image folders open, are told and are sampled as plain diffusers does it."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import QwenImagePipeline as Published
from diffusers import QwenImageTransformer2DModel
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import denoise, sample
from benchmark.models import load_pipeline as load_any
from benchmark.models import model_facts, open_checkpoint
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.qwen_image.pipeline import NO_PROMPT, QwenImagePipeline, template
from benchmark.models.hub import wanted_files
from tools.random_flow.qwen_image import TOKENS, diffusers_images, write_random_folder

load_pipeline = cast("Callable[..., QwenImagePipeline]", load_any)
SAMPLER = Sampler(name="euler", steps=4, guidance=4.0, batch_size=3)
PROMPTS = ["a star", "two hearts, " * 20, ""]
SEEDS = [7, 8, 9]


@pytest.fixture(scope="module")
def folder(published_folder: Callable[..., Path]) -> Path:
    return published_folder("qwen_image")


@pytest.fixture(scope="module")
def base(folder: Path) -> QwenImagePipeline:
    """Tests share it and leave it as it is."""
    return load_pipeline(str(folder), precision="fp32")


def far(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_folder_opens_as_what_it_is(folder: Path, base: QwenImagePipeline) -> None:
    facts = model_facts(str(folder))
    assert facts.family is base.family
    assert facts.latent_shape == base.latent_shape == (4, 16, 16)
    assert facts.image_size == base.image_size == 64
    assert (base.sampler.name, base.sampler.steps, base.sampler.guidance) == ("euler", 50, 4.0)
    # 64 tokens: mu = 0.5 + 0.4 (64 - 256) / (8192 - 256).
    assert base.schedule.shift == pytest.approx(np.exp(0.5 - 0.4 * 192 / 7936))
    assert str(base.density(None)) == "logit_normal(mean=0, std=1, shift=1.63284)"
    for part in (base.transformer, base.vae, base.text_encoder):
        assert {p.dtype for p in part.parameters()} == {torch.float32}
        assert not part.training


def test_the_published_model_has_its_facts() -> None:
    facts = model_facts("qwen-image")
    assert (facts.image_size, facts.latent_shape, facts.hub_id) == (1024, (16, 128, 128), "Qwen/Qwen-Image")


def test_the_tiny_tokenizer_reads_the_template_as_the_published_one(base: QwenImagePipeline) -> None:
    around, before, tokens = template()
    assert (before, tokens, base.tokens) == (34, 512, TOKENS)
    assert len(base.tokenizer(around.split("{}")[0]).input_ids) == before


def test_prompts_are_encoded_as_diffusers_encodes_them(folder: Path, base: QwenImagePipeline) -> None:
    pipe: Any = Published.from_pretrained(folder)
    told = base.encode_prompts([*PROMPTS, NO_PROMPT])
    assert told.shapes == {"states": (TOKENS, 16), "mask": (TOKENS,)}
    for i, prompt in enumerate([*PROMPTS, NO_PROMPT]):
        with torch.no_grad():
            states, mask = pipe.encode_prompt([prompt], device="cpu", max_sequence_length=TOKENS)
        assert mask is None
        n = states.shape[1]
        torch.testing.assert_close(told.parts["states"][i : i + 1, :n], states, rtol=1e-6, atol=1e-6)
        assert told.parts["mask"][i].tolist() == [1.0] * n + [0.0] * (TOKENS - n)
        assert not told.parts["states"][i, n:].any()
    assert torch.equal(base.encode_empty().parts["states"], told.parts["states"][3:])
    assert base.text_settings() == [TOKENS, template()[0], 34, NO_PROMPT]


def test_a_prompt_is_encoded_alike_whatever_stands_beside_it(base: QwenImagePipeline) -> None:
    together = base.encode_prompts(PROMPTS)
    for i, prompt in enumerate(PROMPTS):
        alone = base.encode_prompts([prompt])
        assert all(torch.equal(part[0], together.parts[name][i]) for name, part in alone.parts.items())


def test_the_transformer_is_asked_as_diffusers_asks_it(base: QwenImagePipeline) -> None:
    published: Any = Published
    told, noisy, sigma = (
        base.encode_prompts(PROMPTS),
        torch.randn(3, 4, 16, 16),
        torch.tensor([0.2, 0.5, 0.9]),
    )
    states, mask = told.parts["states"], told.parts["mask"]
    with torch.no_grad():
        found = base.predict(base.transformer, noisy, sigma, told)
        packed = published._pack_latents(noisy, 3, 4, 16, 16)
        wanted = base.transformer(packed, states, mask.long(), sigma, [[(1, 8, 8)]] * 3, return_dict=False)[0]
        torch.testing.assert_close(published._pack_latents(found, 3, 4, 16, 16), wanted, rtol=1e-6, atol=1e-6)
        # What fills up is not told, however much of it there is.
        shorter = Conditioning({"states": states[::2, : TOKENS - 8], "mask": mask[::2, : TOKENS - 8]})
        alike = base.predict(base.transformer, noisy[::2], sigma[::2], shorter)
        torch.testing.assert_close(alike, found[::2], rtol=1e-5, atol=1e-5)
        for other in ({"states": states + 1}, {"mask": 1 - mask}):
            changed = base.predict(base.transformer, noisy, sigma, Conditioning({**told.parts, **other}))
            assert not torch.allclose(changed, found, atol=1e-6)


def test_guidance_keeps_the_length_of_every_token(base: QwenImagePipeline) -> None:
    published: Any = Published
    empty, conditional = torch.randn(2, 2, 4, 16, 16)
    found = base.guided(empty, conditional, 4.0)
    lengths = [published._pack_latents(x, 2, 4, 16, 16).norm(dim=-1) for x in (found, conditional)]
    torch.testing.assert_close(*lengths)
    plain = empty + 4 * (conditional - empty)
    torch.testing.assert_close(
        torch.nn.functional.cosine_similarity(found, plain, dim=1), torch.ones(2, 16, 16)
    )


def test_latents_have_their_own_mean_and_deviation_in_each_channel(
    folder: Path, base: QwenImagePipeline
) -> None:
    """As diffusers' pipelines for images as input take them."""
    from diffusers import QwenImageImg2ImgPipeline

    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    pipe: Any = QwenImageImg2ImgPipeline.from_pretrained(folder)
    vae: Any = base.vae
    with torch.no_grad():
        wanted = pipe._encode_vae_image(
            pixels[:, :, None], [torch.Generator().manual_seed(i) for i in (0, 1)]
        )
        spread = vae.encode(pixels[:, :, None]).latent_dist.std / torch.tensor(vae.config.latents_std).view(
            1, -1, 1, 1, 1
        )
    # Theirs is a draw, ours the mean.
    found = base.encode_images(images)
    assert bool(((found - wanted[:, :, 0]).abs() <= 5 * spread[:, :, 0] + 1e-5).all())
    assert base.decode(found).shape == images.shape


@pytest.mark.parametrize("guidance", [4.0, 1.0])
def test_latents_and_images_are_plain_diffusers(
    folder: Path, base: QwenImagePipeline, guidance: float
) -> None:
    """Latents within 2e-5 of diffusers' for the same noise, pixels within one of 255."""
    published: Any = Published
    sampler = replace(SAMPLER, guidance=guidance)
    theirs = diffusers_images(folder, PROMPTS, SEEDS, sampler, output_type="latent")
    empty = [] if guidance == 1 else [base.encode_empty()] * 3
    told = Conditioning.cat([*empty, *(base.encode_prompts([prompt]) for prompt in PROMPTS)])
    with torch.no_grad():
        ours = published._pack_latents(denoise(base, told, SEEDS, sampler), 3, 4, 16, 16)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-5, atol=2e-5)
    assert far(sample(base, PROMPTS, SEEDS, sampler), diffusers_images(folder, PROMPTS, SEEDS, sampler)) <= 1


def test_the_text_encoder_is_kept_in_bfloat16_where_that_is_run_in(
    folder: Path, base: QwenImagePipeline
) -> None:
    pipeline = load_pipeline(str(folder), precision="bf16")
    assert {p.dtype for p in pipeline.text_encoder.parameters()} == {torch.bfloat16}
    told = pipeline.encode_prompts(PROMPTS)
    assert {part.dtype for part in told.parts.values()} == {torch.float32}
    torch.testing.assert_close(
        told.parts["states"], base.encode_prompts(PROMPTS).parts["states"], rtol=0.1, atol=0.1
    )


# --- adapters and checkpoints -------------------------------------------------------------------------------


def adapted(base: QwenImagePipeline) -> Any:
    """A transformer with a LoRA whose alpha is not its rank, with large weights."""
    transformer: Any = copy.deepcopy(base.transformer)
    config = LoraConfig(
        r=2, lora_alpha=6, target_modules=list(base.lora_targets("all")), init_lora_weights=False
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        transformer.add_adapter(config)
    return transformer


def test_a_lora_of_diffusers_is_equal_to_plain_diffusers(
    folder: Path, base: QwenImagePipeline, tmp_path: Path
) -> None:
    transformer = adapted(base)
    Published.save_lora_weights(
        tmp_path,
        transformer_lora_layers=get_peft_model_state_dict(transformer),
        **_collate_lora_metadata({"transformer": transformer}),
    )
    _, policy = open_checkpoint(str(tmp_path), base)
    ours = sample(policy, PROMPTS, SEEDS, SAMPLER)
    assert far(ours, diffusers_images(folder, PROMPTS, SEEDS, SAMPLER, tmp_path)) <= 1
    assert far(ours, sample(base, PROMPTS, SEEDS, SAMPLER)) > 5


SPELLINGS: dict[str, Callable[[str], str]] = {
    "diffusers": lambda name: f"transformer.{name}",
    "bare, as lightning adapters": lambda name: name.replace("lora_A", "lora_down").replace(
        "lora_B", "lora_up"
    ),
    "DiffSynth": lambda name: name.replace(".weight", ".default.weight"),
    "several adapters": lambda name: f"transformer.{name}".replace(".weight", ".default_0.default.weight"),
    "ComfyUI, ai-toolkit": lambda name: f"diffusion_model.{name}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_layer_is_found_in_every_spelling(base: QwenImagePipeline, spelling: str, tmp_path: Path) -> None:
    own = {name: value.contiguous() for name, value in get_peft_model_state_dict(adapted(base)).items()}
    wanted = merged(base, own, 1)
    save_file({SPELLINGS[spelling](name): value for name, value in own.items()}, tmp_path / "x.safetensors")
    _, policy = open_checkpoint(str(tmp_path / "x.safetensors"), base)
    for name, value in policy.transformer.state_dict().items():
        torch.testing.assert_close(value, wanted[name])


def test_a_peft_folder_opens_with_its_alpha(base: QwenImagePipeline, tmp_path: Path) -> None:
    own = {name: value.contiguous() for name, value in get_peft_model_state_dict(adapted(base)).items()}
    save_file({f"base_model.model.{k}": v for k, v in own.items()}, tmp_path / "adapter_model.safetensors")
    LoraConfig(r=2, lora_alpha=6, target_modules=list(base.lora_targets("all"))).save_pretrained(
        str(tmp_path)
    )
    _, policy = open_checkpoint(str(tmp_path), base)
    wanted = merged(base, own, 3)
    for name, value in policy.transformer.state_dict().items():
        torch.testing.assert_close(value, wanted[name])


def merged(base: QwenImagePipeline, own: dict[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """W + scale B A."""
    state = {name: value.clone() for name, value in base.transformer.state_dict().items()}
    for name, value in own.items():
        if ".lora_A." in name:
            layer = name.removesuffix(".lora_A.weight")
            state[f"{layer}.weight"] += scale * own[f"{layer}.lora_B.weight"] @ value
    return state


def test_what_is_of_another_model_is_refused(base: QwenImagePipeline, tmp_path: Path) -> None:
    save_file(
        {"transformer_blocks.0.attn1.to_q.lora_A.weight": torch.ones(2, 16)}, tmp_path / "x.safetensors"
    )
    with pytest.raises(UserError, match=r"no place in that model: transformer_blocks\.0\.attn1\.to_q"):
        open_checkpoint(str(tmp_path / "x.safetensors"), base)
    wider = QwenImageTransformer2DModel.from_config({**base.config, "num_layers": 3})
    wider.save_pretrained(tmp_path / "wider" / "transformer")
    with pytest.raises(NotComparableError, match="num_layers 3, not 2"):
        open_checkpoint(str(tmp_path / "wider"), base)


@pytest.mark.parametrize("setting", ["zero_cond_t", "use_additional_t_cond", "use_layer3d_rope"])
def test_transformers_of_other_pipelines_are_refused(setting: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {setting: True}
    folder = write_random_folder(tmp_path / "other", **changes)
    with pytest.raises(UserError, match=f"says {setting}"):
        load_pipeline(str(folder))


@pytest.mark.parametrize("part", ["text_encoder", "tokenizer", "transformer", "vae", "scheduler"])
def test_a_part_that_lacks_is_named(folder: Path, part: str, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copied / part)
    with pytest.raises(UserError, match=part):
        load_pipeline(str(copied))


def test_of_the_published_repository_only_what_is_needed_is_fetched() -> None:
    parts = {"text_encoder": ("model", 4), "transformer": ("diffusion_pytorch_model", 9)}
    needed = [
        "model_index.json", "scheduler/scheduler_config.json", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        *(f"{part}/{file}" for part, (name, n) in parts.items()
          for file in ("config.json", f"{name}.safetensors.index.json",
                       *(f"{name}-{i:05}-of-{n:05}.safetensors" for i in range(1, n + 1)))),
        *(f"tokenizer/{file}.json" for file in
          ("added_tokens", "special_tokens_map", "tokenizer_config", "vocab")), "tokenizer/merges.txt",
    ]  # fmt: skip
    others = ["README.md", "LICENSE", ".gitattributes", "text_encoder/generation_config.json",
              "tokenizer/chat_template.jinja"]  # fmt: skip
    assert set(wanted_files([*needed, *others])) == set(needed)
