"""SANA folders open, are told and are sampled as plain diffusers does it."""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import SanaPipeline as Published
from diffusers import SanaTransformer2DModel
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

from benchmark.core.errors import NotComparableError, UnknownNameError, UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import denoise, sample
from benchmark.models import load_pipeline as load_any
from benchmark.models import model_facts, open_checkpoint
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.sana.pipeline import SanaPipeline, instruction
from benchmark.models.flow.multistep import MultistepSteps
from benchmark.models.hub import wanted_files
from tools.random_flow.sana import diffusers_images, write_random_folder

load_pipeline = cast("Callable[..., SanaPipeline]", load_any)
SAMPLER = Sampler(name="dpmsolver++", steps=4, guidance=4.5, batch_size=3)
EULER = replace(SAMPLER, name="euler")
PROMPTS = ["a star", " Two  HEARTS, " * 20, ""]
SEEDS = [7, 8, 9]


@pytest.fixture(scope="module")
def folder(published_folder: Callable[..., Path]) -> Path:
    return published_folder("sana")


@pytest.fixture(scope="module")
def base(folder: Path) -> SanaPipeline:
    """Tests share it and leave it as it is."""
    return load_pipeline(str(folder), precision="fp32")


@pytest.fixture(scope="module")
def by_euler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_folder(tmp_path_factory.mktemp("euler") / "tiny", euler=True)


def far(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_folder_opens_as_what_it_is(folder: Path, base: SanaPipeline) -> None:
    facts = model_facts(str(folder))
    assert facts.family is base.family
    assert facts.latent_shape == base.latent_shape == (4, 16, 16)
    assert facts.image_size == base.image_size == 64
    assert (base.sampler.name, base.sampler.steps, base.sampler.guidance) == ("dpmsolver++", 20, 4.5)
    assert base.sampler.signature.startswith("sampler:dpmsolver++-20|cfg:4.5|")
    assert (base.schedule.shift, base.tokens) == (3.0, 300)
    assert str(base.density(None)) == "logit_normal(mean=0, std=1, shift=3)"
    for part in (base.transformer, base.vae, base.text_encoder):
        assert {p.dtype for p in part.parameters()} == {torch.float32}
        assert not part.training


def test_published_models_have_their_facts() -> None:
    sizes = {"sana": (1024, (32, 32, 32)), "sana_512": (512, (32, 16, 16)), "sana15": (1024, (32, 32, 32))}
    for name, size in sizes.items():
        facts = model_facts(name)
        assert (facts.image_size, facts.latent_shape) == size
        assert facts.sampler.name == "dpmsolver++"


def test_a_folder_is_sampled_as_its_scheduler_says(by_euler: Path) -> None:
    assert model_facts(str(by_euler)).sampler.name == "euler"
    pipeline = load_pipeline(str(by_euler), precision="fp32")
    assert pipeline.schedule.shift == 3.0
    ours = sample(pipeline, PROMPTS, SEEDS, EULER)
    assert far(ours, diffusers_images(by_euler, PROMPTS, SEEDS, EULER)) <= 1


def test_prompts_are_encoded_as_diffusers_encodes_them(folder: Path, base: SanaPipeline) -> None:
    pipe = Published.from_pretrained(folder)
    with torch.no_grad():
        states, mask, nothing, empty_mask = pipe.encode_prompt(
            PROMPTS, device="cpu", complex_human_instruction=instruction()[0].split("\n")
        )
    told, empty = base.encode_prompts(PROMPTS), base.encode_empty()
    assert told.shapes == empty.shapes == {"states": (300, 16), "mask": (300,)}
    torch.testing.assert_close(told.parts["states"], states, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(empty.parts["states"], nothing[:1], rtol=1e-6, atol=1e-6)
    assert torch.equal(told.parts["mask"], mask.float())
    assert torch.equal(empty.parts["mask"], empty_mask[:1].float())
    # No prompt is read without the instruction, an empty prompt with it.
    assert not torch.allclose(told.parts["states"][2:], empty.parts["states"], atol=1e-3)
    assert base.text_settings() == [300, instruction()[0]]


def test_the_transformer_is_asked_as_diffusers_asks_it(base: SanaPipeline) -> None:
    told, noisy, sigma = base.encode_prompts(PROMPTS), torch.ones(3, 4, 16, 16), torch.tensor([0.2, 0.5, 0.9])
    scaled = SanaTransformer2DModel.from_config({**base.config, "timestep_scale": 0.25})
    scaled.load_state_dict(base.transformer.state_dict())
    states, mask = told.parts["states"], told.parts["mask"]
    with torch.no_grad():
        for network, scale in ((base.transformer, 1000), (scaled, 250)):
            found = base.with_network(network).predict(network, noisy, sigma, told)
            wanted = network(noisy, states, sigma * scale, encoder_attention_mask=mask).sample
            torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
        usual = base.predict(base.transformer, noisy, sigma, told)
        for other in ({"states": states + 1}, {"mask": 1 - mask}):
            changed = base.predict(base.transformer, noisy, sigma, Conditioning({**told.parts, **other}))
            assert not torch.allclose(changed, usual, atol=1e-6)


@pytest.mark.parametrize("guidance", [4.5, 1.0])
def test_latents_and_images_are_plain_diffusers(folder: Path, base: SanaPipeline, guidance: float) -> None:
    """Latents within 1e-5 of diffusers' for the same noise, pixels within one of 255."""
    sampler = replace(SAMPLER, guidance=guidance)
    theirs = diffusers_images(folder, PROMPTS, SEEDS, sampler, output_type="latent")
    empty = [] if guidance == 1 else [base.encode_empty()] * 3
    told = Conditioning.cat([*empty, *(base.encode_prompts([prompt]) for prompt in PROMPTS)])
    with torch.no_grad():
        ours = denoise(base, told, SEEDS, sampler)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-5)
    assert far(sample(base, PROMPTS, SEEDS, sampler), diffusers_images(folder, PROMPTS, SEEDS, sampler)) <= 1


def test_either_sampler_is_there_for_either_scheduler(base: SanaPipeline, by_euler: Path) -> None:
    other = load_pipeline(str(by_euler), precision="fp32")
    for pipeline in (base, other):
        steps = pipeline.sampler_steps(SAMPLER)
        assert isinstance(steps, MultistepSteps)
        assert len(steps.times) == 4
        found = sample(pipeline, PROMPTS[:1], SEEDS[:1], replace(SAMPLER, batch_size=1))
        assert far(found, sample(pipeline, PROMPTS[:1], SEEDS[:1], replace(EULER, batch_size=1))) > 1
    one, two = (pipeline.sampler_steps(SAMPLER).times for pipeline in (base, other))
    assert torch.equal(torch.as_tensor(one), torch.as_tensor(two))
    assert torch.equal(base.schedule.sigmas(7), other.schedule.sigmas(7))
    with pytest.raises(UserError, match=r"eta is 0\.5.*draws no noise.*euler"):
        base.sampler_steps(replace(SAMPLER, eta=0.5))
    with pytest.raises(UnknownNameError, match="ddim"):
        base.sampler_steps(replace(SAMPLER, name="ddim"))


def test_a_solver_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    changes = {"use_flow_sigmas": False, "algorithm_type": "sde-dpmsolver++", "prediction_type": "epsilon"}
    for name, value in changes.items():
        place = shutil.copytree(folder, tmp_path / name)
        edit(place / "scheduler" / "scheduler_config.json", **{name: value})
        with pytest.raises(UserError, match=f"the scheduler says {name}"):
            load_pipeline(str(place))


def test_the_text_encoder_is_kept_in_bfloat16_where_that_is_run_in(folder: Path, base: SanaPipeline) -> None:
    pipeline = load_pipeline(str(folder), precision="bf16")
    assert {p.dtype for p in pipeline.text_encoder.parameters()} == {torch.bfloat16}
    told = pipeline.encode_prompts(PROMPTS)
    assert {part.dtype for part in told.parts.values()} == {torch.float32}
    torch.testing.assert_close(
        told.parts["states"], base.encode_prompts(PROMPTS).parts["states"], rtol=0.1, atol=0.1
    )


# --- adapters and checkpoints -------------------------------------------------------------------------------


def adapted(base: SanaPipeline) -> Any:
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
    folder: Path, base: SanaPipeline, tmp_path: Path
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


def test_a_peft_folder_and_every_spelling_open_alike(base: SanaPipeline, tmp_path: Path) -> None:
    own = {k: v.contiguous() for k, v in get_peft_model_state_dict(adapted(base)).items()}
    wanted = {name: value.clone() for name, value in base.transformer.state_dict().items()}
    for name, down in own.items():
        if ".lora_A." in name:
            layer = name.removesuffix(".lora_A.weight")
            up = own[f"{layer}.lora_B.weight"]
            wanted[f"{layer}.weight"] += 3 * (up.flatten(1) @ down.flatten(1)).view(
                *wanted[f"{layer}.weight"].shape
            )
    save_file({f"base_model.model.{k}": v for k, v in own.items()}, tmp_path / "adapter_model.safetensors")
    LoraConfig(r=2, lora_alpha=6, target_modules=list(base.lora_targets("all"))).save_pretrained(
        str(tmp_path)
    )
    _, policy = open_checkpoint(str(tmp_path), base)
    found = policy.transformer.state_dict()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)
    halves = {"A": "down", "B": "up"}
    spellings: tuple[Callable[[str], str], ...] = (
        lambda k: f"transformer.{k}",
        lambda k: f"diffusion_model.{k}".replace(".weight", ".default.weight"),
        lambda k: f"lora_unet_{k[:-14].replace('.', '_')}.lora_{halves[k[-8]]}.weight",
    )
    for spelled in spellings:
        # Nobody states a scale, so alpha is the rank.
        file = tmp_path / "mine.safetensors"
        save_file({spelled(k): v * 3 if "lora_B" in k else v for k, v in own.items()}, file)
        _, policy = open_checkpoint(str(file), base)
        for name, value in policy.transformer.state_dict().items():
            torch.testing.assert_close(value, wanted[name])


def test_what_is_of_another_model_is_refused(base: SanaPipeline, tmp_path: Path) -> None:
    save_file({"transformer_blocks.0.attn.to_q.lora_A.weight": torch.ones(2, 16)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"no place in that model: transformer_blocks\.0\.attn\.to_q"):
        open_checkpoint(str(tmp_path / "x.safetensors"), base)
    wider = SanaTransformer2DModel.from_config({**base.config, "num_layers": 3})
    wider.save_pretrained(tmp_path / "wider" / "transformer")
    with pytest.raises(NotComparableError, match="num_layers 3, not 2"):
        open_checkpoint(str(tmp_path / "wider"), base)


@pytest.mark.parametrize("part", ["text_encoder", "tokenizer", "transformer", "vae", "scheduler"])
def test_a_part_that_lacks_is_named(folder: Path, part: str, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copied / part)
    with pytest.raises(UserError, match=part):
        load_pipeline(str(copied))


def test_of_the_published_repository_only_what_is_needed_is_fetched() -> None:
    needed = [
        "model_index.json", "scheduler/scheduler_config.json", "transformer/config.json", "vae/config.json",
        "text_encoder/config.json", "text_encoder/model.safetensors.index.json",
        *(f"text_encoder/model-0000{i}-of-00002.safetensors" for i in (1, 2)),
        *(f"tokenizer/{file}.json" for file in ("special_tokens_map", "tokenizer", "tokenizer_config")),
        "transformer/diffusion_pytorch_model.safetensors.index.json",
        *(f"transformer/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)),
        "vae/diffusion_pytorch_model.safetensors",
    ]  # fmt: skip
    others = [
        ".gitattributes", "README.md", "LICENSE.txt", "tokenizer/tokenizer.model",
        "text_encoder/model.fp16.safetensors.index.json",
        *(f"{part}/diffusion_pytorch_model.fp16.safetensors" for part in ("transformer", "vae")),
    ]  # fmt: skip
    assert set(wanted_files([*needed, *others])) == set(needed)
