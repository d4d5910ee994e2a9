"""Stable Diffusion 3 folders open, are told and are sampled as plain diffusers does it."""

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
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import denoise, sample
from benchmark.models import load_pipeline as load_any
from benchmark.models import model_facts, open_checkpoint
from benchmark.models.families.sd3.pipeline import SD3Pipeline
from benchmark.models.flow.texts import TOKENS_KEY, language_dtype
from benchmark.models.hub import wanted_files
from tools.random_flow.sd3 import diffusers_images, write_random_folder

load_pipeline = cast("Callable[..., SD3Pipeline]", load_any)
Folder = Callable[..., Path]
SAMPLER = Sampler(name="euler", steps=4, guidance=4.0, batch_size=3)
PROMPTS = ["a star", "two hearts, " * 20, ""]
SEEDS = [7, 8, 9]


@pytest.fixture(scope="module")
def folder(published_folder: Folder) -> Path:
    return published_folder("sd3")


@pytest.fixture(scope="module")
def base(folder: Path) -> SD3Pipeline:
    """Tests share it and leave it as it is."""
    return load_pipeline(str(folder), precision="fp32")


@pytest.fixture(scope="module")
def without_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_folder(tmp_path_factory.mktemp("without") / "no-t5", t5=False)


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def plain(folder: Path, **parts: Any) -> Any:
    pipe = StableDiffusion3Pipeline.from_pretrained(folder, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


NO_T5: dict[str, Any] = {"text_encoder_3": None, "tokenizer_3": None}


def far(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_folder_opens_as_what_it_is(folder: Path, base: SD3Pipeline) -> None:
    facts = model_facts(str(folder))
    assert facts.family is base.family
    assert facts.latent_shape == base.latent_shape == (4, 16, 16)
    assert facts.image_size == base.image_size == 64
    assert (base.sampler.name, base.sampler.steps, base.sampler.guidance) == ("euler", 28, 7.0)
    assert str(base.density(None)) == "logit_normal(mean=0, std=1, shift=3)"
    assert base.sampler.signature.startswith("sampler:euler-28|cfg:7.0|")
    for part in (base.transformer, base.vae, *(encoder for _, encoder in base.text_parts())):
        assert {p.dtype for p in part.parameters()} == {torch.float32}
        assert not part.training


def test_published_models_have_their_facts() -> None:
    for name in ("sd35_medium", "sd35-large", "sd3_medium"):
        facts = model_facts(name)
        assert (facts.image_size, facts.latent_shape) == (1024, (16, 128, 128))
        assert facts.sampler.name == "euler"


@pytest.mark.parametrize("t5", [True, False])
def test_prompts_are_encoded_as_diffusers_encodes_them(folder: Path, without_t5: Path, t5: bool) -> None:
    place = folder if t5 else without_t5
    pipeline, pipe = load_pipeline(str(place), precision="fp32"), plain(place, **({} if t5 else NO_T5))
    states, _, pooled, _ = pipe.encode_prompt(
        prompt=PROMPTS, prompt_2=None, prompt_3=None, device="cpu", do_classifier_free_guidance=False
    )
    told = pipeline.encode_prompts(PROMPTS)
    assert list(told.parts) == (["clip", "pooled", "t5"] if t5 else ["clip", "pooled"])
    torch.testing.assert_close(told.parts["pooled"], pooled, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(told.parts["clip"], states[:, :32, :40], rtol=1e-6, atol=1e-6)
    if t5:
        torch.testing.assert_close(told.parts["t5"], states[:, 32:], rtol=1e-5, atol=2e-5)
    assert not torch.allclose(told.parts["pooled"][0], told.parts["pooled"][2])
    noisy, sigma = torch.ones(3, *pipeline.latent_shape), torch.tensor([0.2, 0.5, 0.9])
    with torch.no_grad():
        found = pipeline.predict(pipeline.transformer, noisy, sigma, told)
        wanted = pipe.transformer(noisy, states, pooled, sigma * 1000).sample
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_every_part_of_the_conditioning_reaches_the_transformer(base: SD3Pipeline) -> None:
    told, noisy, sigma = base.encode_prompts(["a star"]), torch.ones(1, *base.latent_shape), torch.tensor(0.5)
    with torch.no_grad():
        usual = base.predict(base.transformer, noisy, sigma, told)
        for name in told.parts:
            other = replace(told, parts={**told.parts, name: told.parts[name] + 1})
            assert not torch.allclose(base.predict(base.transformer, noisy, sigma, other), usual, atol=1e-6)


@pytest.mark.parametrize("guidance", [4.0, 1.0])
def test_latents_and_images_are_plain_diffusers(folder: Path, base: SD3Pipeline, guidance: float) -> None:
    """Latents within 1e-5 of diffusers' for the same noise, pixels within one of 255."""
    sampler = replace(SAMPLER, guidance=guidance)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    theirs = plain(folder)(
        PROMPTS, num_inference_steps=4, guidance_scale=guidance, generator=generators, output_type="latent"
    ).images
    empty = [] if guidance == 1 else [base.encode_empty()] * 3
    told = [*empty, *(base.encode_prompts([prompt]) for prompt in PROMPTS)]
    with torch.no_grad():
        ours = denoise(base, type(told[0]).cat(told), SEEDS, sampler)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert far(sample(base, PROMPTS, SEEDS, sampler), diffusers_images(folder, PROMPTS, SEEDS, sampler)) <= 1


def test_a_dynamic_shift_is_diffusers_too(tmp_path: Path) -> None:
    folder = write_random_folder(tmp_path / "dynamic", scheduler={"use_dynamic_shifting": True})
    pipeline = load_pipeline(str(folder), precision="fp32")
    assert pipeline.schedule.shift == pytest.approx(1.596, abs=1e-3)  # 64 tokens
    assert (
        far(sample(pipeline, PROMPTS, SEEDS, SAMPLER), diffusers_images(folder, PROMPTS, SEEDS, SAMPLER)) <= 1
    )


def test_without_t5_as_many_zeros_as_diffusers_has(without_t5: Path, tmp_path: Path) -> None:
    ours = sample(load_pipeline(str(without_t5), precision="fp32"), PROMPTS, SEEDS, SAMPLER)
    settings: dict[str, Any] = {"num_inference_steps": 4, "guidance_scale": 4.0}

    def theirs(**more: Any) -> np.ndarray:
        generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
        made = plain(without_t5, **NO_T5)(PROMPTS, generator=generators, **settings, **more)
        return np.stack([np.asarray(image) for image in made.images])

    assert far(ours, theirs()) <= 1
    none = shutil.copytree(without_t5, tmp_path / "none")
    edit(none / "model_index.json", **{TOKENS_KEY: 0})
    found = sample(load_pipeline(str(none), precision="fp32"), PROMPTS, SEEDS, SAMPLER)
    assert far(found, theirs(max_sequence_length=0)) <= 1
    assert far(found, ours) > 1


def test_large_text_encoders_are_kept_in_bfloat16_where_that_is_run_in(folder: Path) -> None:
    pipeline = load_pipeline(str(folder), precision="bf16")
    assert pipeline.text_encoder_3 is not None
    assert {p.dtype for p in pipeline.text_encoder_3.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in pipeline.text_encoder.parameters()} == {torch.float32}
    told = pipeline.encode_prompts(PROMPTS)
    assert {part.dtype for part in told.parts.values()} == {torch.float32}
    assert [language_dtype(p) for p in ("fp32", "fp16")] == [torch.float32] * 2
    full = load_pipeline(str(folder), precision="fp32")
    torch.testing.assert_close(told.parts["t5"], full.encode_prompts(PROMPTS).parts["t5"], rtol=0.1, atol=0.1)
    assert pipeline.prompt_encoders_id() != full.prompt_encoders_id()


# --- adapters and checkpoints -------------------------------------------------------------------------------


def add_adapter(part: Any, targets: list[str], seed: int) -> dict[str, torch.Tensor]:
    """A LoRA whose alpha is not its rank, with large weights, as PEFT names it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        part.add_adapter(LoraConfig(r=2, lora_alpha=6, target_modules=targets, init_lora_weights=False))
    return dict(get_peft_model_state_dict(part))


@pytest.fixture(scope="module")
def lora(base: SD3Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of diffusers' that changes the transformer and both CLIPs."""
    parts = {name: copy.deepcopy(getattr(base, name)) for name in base.family.folders.adapted}
    text, place = ["q_proj", "v_proj", "out_proj"], tmp_path_factory.mktemp("lora")
    StableDiffusion3Pipeline.save_lora_weights(
        place,
        transformer_lora_layers=add_adapter(parts["transformer"], list(base.lora_targets("all")), 0),
        text_encoder_lora_layers=add_adapter(parts["text_encoder"], text, 1),
        text_encoder_2_lora_layers=add_adapter(parts["text_encoder_2"], text, 2),
        **_collate_lora_metadata(parts),
    )
    return place


def test_a_lora_of_all_its_parts_is_equal_to_plain_diffusers(
    folder: Path, base: SD3Pipeline, lora: Path
) -> None:
    _, policy = open_checkpoint(str(lora), base)
    ours = sample(policy, PROMPTS, SEEDS, SAMPLER)
    assert far(ours, diffusers_images(folder, PROMPTS, SEEDS, SAMPLER, lora)) <= 1
    assert far(ours, sample(base, PROMPTS, SEEDS, SAMPLER)) > 5
    for name in ("clip", "pooled"):
        told = [pipeline.encode_prompts(["a star"]).parts[name] for pipeline in (policy, base)]
        assert not torch.allclose(told[0], told[1], atol=1e-3)


def layers(base: SD3Pipeline) -> dict[str, torch.Tensor]:
    transformer = copy.deepcopy(base.transformer)
    return add_adapter(transformer, list(base.lora_targets("attention")), 3)


def kohya(name: str) -> str:
    """diffusers' layers spelled as kohya's scripts spell names."""
    layer, _, end = name.rpartition(".lora_")
    return (
        f"lora_transformer_{layer.replace('.', '_')}."
        + {"A.weight": "lora_down.weight", "B.weight": "lora_up.weight"}[end]
    )


SPELLINGS: dict[str, Callable[[str], str]] = {
    "diffusers": lambda name: f"transformer.{name}",
    "bare": lambda name: name,
    "PEFT": lambda name: f"transformer.{name}".replace(".weight", ".default.weight"),
    "DiffSynth": lambda name: f"transformer.{name}".replace(".weight", ".default_0.default.weight"),
    "DiffSynth, bare": lambda name: name.replace(".weight", ".default.weight"),
    "kohya": kohya,
    "ComfyUI": lambda name: f"diffusion_model.{name}",
    "unet": lambda name: kohya(name).replace("lora_transformer_", "lora_unet_"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_layer_is_found_in_every_spelling(base: SD3Pipeline, spelling: str, tmp_path: Path) -> None:
    own = {name: value.contiguous() for name, value in layers(base).items()}
    wanted = _merged(base, own)
    save_file(
        {SPELLINGS[spelling](name): value for name, value in own.items()}, tmp_path / "mine.safetensors"
    )
    _, policy = open_checkpoint(str(tmp_path / "mine.safetensors"), base)
    found = policy.transformer.state_dict()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)
    before = base.transformer.state_dict()
    assert not all(torch.equal(found[name], before[name]) for name in before)


def _merged(base: SD3Pipeline, own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without settings alpha is the rank: W + B A."""
    state = {name: value.clone() for name, value in base.transformer.state_dict().items()}
    for name, value in own.items():
        if ".lora_A." in name:
            layer = name.removesuffix(".lora_A.weight")
            state[f"{layer}.weight"] += own[f"{layer}.lora_B.weight"] @ value
    return state


def test_a_peft_folder_opens_with_its_alpha(base: SD3Pipeline, tmp_path: Path) -> None:
    own = {f"base_model.model.{name}": value.contiguous() for name, value in layers(base).items()}
    save_file(own, tmp_path / "adapter_model.safetensors")
    config = LoraConfig(r=2, lora_alpha=6, target_modules=list(base.lora_targets("attention")))
    config.save_pretrained(str(tmp_path))
    _, policy = open_checkpoint(str(tmp_path), base)
    name = "transformer_blocks.1.attn.to_out.0"
    up, down = (own[f"base_model.model.{name}.lora_{m}.weight"] for m in "BA")
    wanted = base.transformer.state_dict()[f"{name}.weight"] + 3 * up @ down
    torch.testing.assert_close(policy.transformer.state_dict()[f"{name}.weight"], wanted)


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
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "--base"),
        ("transformer_blocks.7.attn.to_q.lora_A.weight", "--base"),
    ],
)
def test_what_has_no_place_is_refused_with_who_wrote_it(
    base: SD3Pipeline, name: str, said: str, tmp_path: Path
) -> None:
    save_file({name: torch.ones(2, 16)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=f"no place in that model: {name}.*{said}"):
        open_checkpoint(str(tmp_path / "other.safetensors"), base)


def test_a_transformer_opens_from_every_place_it_may_lie_in(
    base: SD3Pipeline, folder: Path, tmp_path: Path
) -> None:
    other = SD3Transformer2DModel.from_config(base.config)
    other.save_pretrained(tmp_path / "mine" / "transformer")
    whole = shutil.copytree(folder, tmp_path / "whole")
    shutil.copytree(tmp_path / "mine" / "transformer", whole / "transformer", dirs_exist_ok=True)
    for place in (tmp_path / "mine", tmp_path / "mine" / "transformer", whole):
        _, policy = open_checkpoint(str(place), base)
        for name, value in policy.transformer.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])
    wider = SD3Transformer2DModel.from_config({**base.config, "num_layers": 3})
    wider.save_pretrained(tmp_path / "wider" / "transformer")
    with pytest.raises(NotComparableError, match="num_layers 3, not 2"):
        open_checkpoint(str(tmp_path / "wider"), base)


def test_a_text_encoder_beside_the_transformer_counts(
    base: SD3Pipeline, folder: Path, tmp_path: Path
) -> None:
    base.save_network(base.transformer, tmp_path)
    shutil.copytree(folder / "text_encoder", tmp_path / "text_encoder")
    file = tmp_path / "text_encoder" / "model.safetensors"
    save_file({name: 1.5 * value for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    _, policy = open_checkpoint(str(tmp_path), base)
    told = [pipeline.encode_prompts(["a star"]).parts["pooled"] for pipeline in (policy, base)]
    assert not torch.allclose(told[0], told[1])


@pytest.mark.parametrize("part", ["text_encoder_3", "tokenizer_3", "transformer", "scheduler"])
def test_a_part_that_lacks_is_named(folder: Path, part: str, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copied / part)
    with pytest.raises(UserError, match=part):
        load_pipeline(str(copied))


def test_of_a_published_repository_only_what_is_needed_is_fetched() -> None:
    weights = {
        "text_encoder": ["model.safetensors"], "text_encoder_2": ["model.safetensors"],
        "text_encoder_3": ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                           "model.safetensors.index.json"],
        "transformer": ["diffusion_pytorch_model.safetensors"],
        "vae": ["diffusion_pytorch_model.safetensors"],
    }  # fmt: skip
    needed = [
        "model_index.json", "scheduler/scheduler_config.json",
        *(f"{part}/{name}" for part, names in weights.items() for name in ["config.json", *names]),
        *(f"tokenizer{n}/{file}" for n in ("", "_2")
          for file in ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")),
        *(f"tokenizer_3/{file}" for file in ("tokenizer.json", "tokenizer_config.json")),
    ]  # fmt: skip
    others = [
        "sd3.5_medium.safetensors", "README.md", "text_encoders/clip_l.safetensors",
        "tokenizer_3/spiece.model",
        "text_encoder/model.fp16.safetensors", "text_encoder_2/model.fp16.safetensors",
    ]  # fmt: skip
    assert set(wanted_files([*needed, *others])) == set(needed)
