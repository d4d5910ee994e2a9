"""What every family must do, over all of them: the laws a training loop and a sampler build on."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.records import Sampler
from benchmark.models import load_pipeline, model_facts, open_checkpoint
from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import families
from benchmark.models.families.base import Pipeline
from benchmark.models.families.unet.pipeline import UNetPipeline
from benchmark.models.flow.pipeline import FlowPipeline
from benchmark.models.loading import weights_sha256
from tools.random_flow import FAMILIES as FLOW

TOY = f"{Path(__file__).resolve().parents[1] / 'toy_family.py'}:toy"
FAMILIES = ["sd15", "sdxl", "toy", *FLOW]
PROMPTS = ["a red star", "two hearts", ""]


@pytest.fixture
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def new(family: str, published_folder: Callable[..., Path]) -> Callable[[], Pipeline]:
    """Loads a tiny base model of a family, each time anew."""
    spec = TOY if family == "toy" else str(published_folder(family))
    return lambda: load_pipeline(spec, precision="fp32")


@pytest.fixture
def pipeline(family: str, published_pipeline: Callable[..., Pipeline]) -> Pipeline:
    """One that tests share and leave as it is."""
    return load_pipeline(TOY, precision="fp32") if family == "toy" else published_pipeline(family)


every_family = pytest.mark.parametrize("family", FAMILIES, indirect=True)


def draw(pipeline: Pipeline, n: int, seed: int = 0) -> Tensor:
    return torch.randn((n, *pipeline.latent_shape), generator=torch.Generator().manual_seed(seed))


def weights(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_families_are_found_and_their_classes_are_whole() -> None:
    assert [family.name for family in families()] == sorted({*FLOW, "unet"})
    for family in (*families(), model_facts(TOY).family):
        assert family is not None
        kind = family.load()
        assert issubclass(kind, Pipeline)
        assert not getattr(kind, "__abstractmethods__", None)
        assert kind.family is family
        assert {"name", "device", "precision", "sampler", "revision", "place"} <= {
            f.name for f in fields(kind)
        }


@every_family
def test_a_prediction_is_the_networks_own_to_the_bit(pipeline: Pipeline) -> None:
    noisy, t = draw(pipeline, 3), pipeline.sample_t(np.array([0.1, 0.5, 0.9]))
    told = pipeline.encode_prompts(PROMPTS)
    sizes = torch.tensor([[100.0, 64, 18, 0], [64, 64, 0, 0], [64, 90, 0, 13]])
    with torch.no_grad():
        found = pipeline.predict(pipeline.network, noisy, t, told, sizes)
        one = pipeline.predict(pipeline.network, noisy, t[1], told)
        if isinstance(pipeline, UNetPipeline):
            unet, states = pipeline.unet, told.parts["states"]
            ids = torch.cat([sizes, torch.full((3, 2), 64.0)], 1)
            made = torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 3)
            extra: Any = [
                {"added_cond_kwargs": {"text_embeds": told.parts["pooled"], "time_ids": i}}
                if pipeline.is_xl
                else {}
                for i in (ids, made)
            ]
            assert torch.equal(found, unet(noisy, t, states, **extra[0]).sample)
            assert torch.equal(one, unet(noisy, t[1], states, **extra[1]).sample)
        elif isinstance(pipeline, FlowPipeline):
            # What the network is told is the family's own: see its own tests.
            assert torch.equal(found, pipeline.velocity(pipeline.network, noisy, t, told))
            assert torch.equal(one, pipeline.velocity(pipeline.network, noisy, t[1].expand(3), told))
        else:
            assert torch.equal(found, pipeline.network(noisy, t, told.parts["letters"]))
    assert found.shape == noisy.shape


@every_family
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_made_ready_for_sampling_it_says_the_same_to_the_bit_of_every_prompt_and_time(
    pipeline: Pipeline, precision: Literal["fp32", "bf16"]
) -> None:
    before, noisy = weights(pipeline.network), draw(pipeline, 2)
    ready = pipeline.for_sampling(precision)
    # A prompt a second time, after another one; tensors of equal content are other tensors.
    told = [pipeline.encode_prompts(PROMPTS[i : i + 2]) for i in (0, 1, 0)]
    with torch.no_grad():
        for asked in (told[0], told[0], told[1], told[2], told[0]):
            for t in pipeline.sample_t(np.array([0.9, 0.4])):
                one, other = (
                    p.predict(p.network, noisy, t, asked, precision=precision) for p in (pipeline, ready)
                )
                assert torch.equal(one, other)
    assert same(weights(pipeline.network), before)
    held = {w.data_ptr() for w in pipeline.network.parameters()}
    own = [w for w in ready.network.parameters() if w.data_ptr() not in held]
    # No weight is there twice in float32.
    assert bool(own) == (precision == "bf16")
    assert all(w.dtype == torch.bfloat16 for w in own)


@every_family
def test_a_network_in_training_is_sampled_as_it_is(new: Callable[[], Pipeline]) -> None:
    pipeline = new()
    inject_adapter_in_model(
        LoraConfig(r=1, target_modules=list(pipeline.lora_targets("attention"))), pipeline.network, "policy"
    )
    assert pipeline.for_sampling("bf16") is pipeline


@every_family
def test_in_half_precision_a_prediction_is_that_of_autocast(pipeline: Pipeline) -> None:
    noisy, told = draw(pipeline, 1), pipeline.encode_prompts(PROMPTS[:1])
    t = pipeline.sample_t(np.array([0.5]))
    with torch.no_grad():
        half = pipeline.predict(pipeline.network, noisy, t, told, precision="bf16")
        full = pipeline.predict(pipeline.network, noisy, t, told)
    assert (half.dtype, full.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(half.float(), full, rtol=0.1, atol=0.1)


@every_family
def test_times_grow_with_noise(pipeline: Pipeline) -> None:
    u = np.linspace(0, 1, 997, endpoint=False)
    t = pipeline.sample_t(u)
    level = pipeline.noise_level(t)
    assert level.shape == t.shape == (997,)
    assert level.is_floating_point()
    assert bool(((level >= 0) & (level < 1)).all())
    assert bool((level.diff() >= 0).all())
    np.testing.assert_allclose(level.numpy(), u, atol=2e-3)
    assert pipeline.sample_t(u[:6].reshape(2, 3)).shape == (2, 3)
    if isinstance(pipeline, UNetPipeline):
        every = (np.arange(1000) + 0.5) / 1000
        t = pipeline.sample_t(every)
        assert torch.equal(t, torch.from_numpy((every * 1000).astype(np.int64)))
        # The quarters that training logs by are those of integer timesteps.
        assert torch.equal((pipeline.noise_level(t) * 4).floor().long(), t * 4 // 1000)


@every_family
def test_noise_and_target_are_linear_and_end_where_they_should(pipeline: Pipeline) -> None:
    x, noise = draw(pipeline, 2), draw(pipeline, 2, 1)
    t = pipeline.sample_t(np.array([0.3, 0.8]))
    noisy, target = pipeline.add_noise(x, noise, t), pipeline.target(x, noise, t)
    torch.testing.assert_close(pipeline.add_noise(2 * x, 2 * noise, t), 2 * noisy)
    torch.testing.assert_close(pipeline.target(2 * x, 2 * noise, t), 2 * target)
    if isinstance(pipeline, UNetPipeline):
        a = pipeline.scheduler.alphas_cumprod[t][:, None, None, None]
        torch.testing.assert_close(noisy, a.sqrt() * x + (1 - a).sqrt() * noise)
        assert torch.equal(target, noise)
    least = pipeline.sample_t(np.zeros(2))
    assert float((pipeline.add_noise(x, noise, least) - x).abs().max()) < 0.2


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_targets_of_a_unet_lead_back_to_the_image(tiny_pipeline: UNetPipeline, kind: str) -> None:
    scheduler = type(tiny_pipeline.scheduler).from_config(
        tiny_pipeline.scheduler.config, prediction_type=kind
    )
    pipeline = replace(tiny_pipeline, scheduler=scheduler)
    x, noise, t = draw(pipeline, 2), draw(pipeline, 2, 1), torch.tensor([200, 700])
    noisy, target = pipeline.add_noise(x, noise, t), pipeline.target(x, noise, t)
    a = scheduler.alphas_cumprod[t][:, None, None, None]
    back = {
        "epsilon": (noisy - (1 - a).sqrt() * target) / a.sqrt(),
        "v_prediction": a.sqrt() * noisy - (1 - a).sqrt() * target,
        "sample": target,
    }
    torch.testing.assert_close(back[kind], x, rtol=1e-4, atol=1e-4)


@every_family
def test_prompts_lie_side_by_side_and_come_back(pipeline: Pipeline) -> None:
    told = pipeline.encode_prompts(PROMPTS)
    back = Conditioning.from_flat(told.flat(), told.shapes)
    assert same(dict(back.parts), dict(told.parts))
    assert list(back.parts) == list(told.parts)
    assert len(told) == 3
    assert pipeline.encode_empty().shapes == told.shapes
    assert len(pipeline.encode_empty()) == 1


@every_family
def test_the_encoders_names_are_json_and_those_of_the_caches(pipeline: Pipeline) -> None:
    prompts, images = pipeline.prompt_encoders_id(), pipeline.image_encoder_id()
    json.dumps([prompts, images])
    if isinstance(pipeline, UNetPipeline):
        pairs: Any = [(pipeline.text_encoder, pipeline.tokenizer)]
        pairs += [(pipeline.text_encoder_2, pipeline.tokenizer_2)] if pipeline.is_xl else []
        parts = [[weights_sha256(encoder), sha256_json(t.get_vocab())] for encoder, t in pairs]
        assert prompts == [parts, pipeline.is_xl]
        assert images == [weights_sha256(pipeline.vae), float(pipeline.vae.config.scaling_factor), "fp32"]


@every_family
def test_images_become_latents_and_images(pipeline: Pipeline) -> None:
    side = pipeline.image_size
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    latents = pipeline.encode_images(images)
    assert latents.shape == (2, *pipeline.latent_shape)
    assert latents.dtype == torch.float32
    assert pipeline.latent_size == latents[0].numel()
    decoded = pipeline.decode(latents)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.uint8


@every_family
def test_without_encoders_the_network_still_knows_its_sizes(new: Callable[[], Pipeline]) -> None:
    pipeline = new()
    told, shape, size = pipeline.encode_prompts(PROMPTS[:1]), pipeline.latent_shape, pipeline.image_size
    pipeline.release_encoders()
    assert (pipeline.latent_shape, pipeline.image_size) == (shape, size)
    with torch.no_grad():
        pipeline.predict(pipeline.network, draw(pipeline, 1), pipeline.sample_t(np.array([0.5])), told)
    if isinstance(pipeline, UNetPipeline):
        parts = [pipeline.vae, *(encoder for _, encoder in pipeline.text_parts)]
        assert all(weight.is_meta for part in parts for weight in part.parameters())


@every_family
def test_a_walk_ends_in_latents_and_an_unknown_sampler_is_refused(pipeline: Pipeline) -> None:
    sampler = Sampler(name=pipeline.sampler.name, steps=3)
    steps, noise = pipeline.sampler_steps(sampler), draw(pipeline, 1)
    latents = steps.start(noise)
    assert torch.equal(latents, noise)
    assert len(steps.times) == 3
    levels = [float(pipeline.noise_level(t)) for t in steps.times]
    assert levels == sorted(levels, reverse=True)
    for t in steps.times:
        latents = steps.step(torch.zeros_like(latents), t, latents, [torch.Generator()])
    assert latents.shape == noise.shape
    with pytest.raises(UnknownNameError, match="sampler"):
        pipeline.sampler_steps(Sampler(name="none"))


@every_family
def test_gaussian_steps_are_there_or_said_not_to_be(pipeline: Pipeline) -> None:
    if isinstance(pipeline, UNetPipeline | FlowPipeline):
        assert len(pipeline.transition_steps(8)) >= 7
        return
    with pytest.raises(UserError, match="toy.*transition.*path_kl"):
        pipeline.transition_steps(8)
    assert issubclass(UserError, UserError)


@every_family
def test_a_trainable_network_is_the_pipelines_own_and_frozen(new: Callable[[], Pipeline]) -> None:
    pipeline = new()
    network = pipeline.trainable()
    assert network is pipeline.network
    assert not any(p.requires_grad for p in network.parameters())
    if isinstance(pipeline, UNetPipeline):
        assert pipeline.trainable(gradient_checkpointing=True).is_gradient_checkpointing


@every_family
def test_an_empty_network_takes_the_weights_and_the_pipelines_place(pipeline: Pipeline) -> None:
    empty = pipeline.empty_network()
    assert not same(weights(empty), weights(pipeline.network))
    empty.load_state_dict(pipeline.network.state_dict())
    other = pipeline.with_network(empty)
    assert type(other) is type(pipeline)
    assert other.network is empty
    told, t = pipeline.encode_prompts(PROMPTS), pipeline.sample_t(np.array([0.5] * 3))
    with torch.no_grad():
        found = [one.predict(one.network.eval(), draw(one, 3), t, told) for one in (pipeline, other)]
    torch.testing.assert_close(*found)


@every_family
def test_blocks_and_targets_are_parts_of_the_network(pipeline: Pipeline) -> None:
    modules = list(pipeline.network.modules())
    blocks = pipeline.blocks_to_shard(pipeline.network)
    assert blocks
    assert all(any(block is module for module in modules) for block in blocks)
    names = [name for name, _ in pipeline.network.named_modules()]
    for which in ("attention", "all"):
        targets = pipeline.lora_targets(cast("Any", which))
        hit = {t for t in targets if any(name.endswith(f".{t}") for name in names)}
        assert hit >= set(pipeline.lora_targets("attention"))
    assert set(pipeline.lora_targets("attention")) < set(pipeline.lora_targets("all"))


@every_family
def test_a_saved_network_opens_as_it_was(pipeline: Pipeline, tmp_path: Path) -> None:
    trained = pipeline.empty_network()
    for folder in ("one", "two"):
        pipeline.save_network(trained, tmp_path / folder)
    policy = pipeline.open_policy(tmp_path / "one")
    assert type(policy) is type(pipeline)
    assert same(weights(policy.network), weights(trained))
    assert not policy.network.training
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / f).rglob("*") if p.is_file()} for f in ("one", "two")
    )
    assert one == two
    checkpoint, again = open_checkpoint(str(tmp_path / "one"), pipeline)
    assert checkpoint.objective == "external"
    assert same(weights(again.network), weights(trained))


@every_family
def test_a_saved_adapter_opens_as_what_it_added(
    new: Callable[[], Pipeline], pipeline: Pipeline, tmp_path: Path
) -> None:
    base, adapted = pipeline, new()
    config = LoraConfig(
        r=2, lora_alpha=6, init_lora_weights=False, target_modules=list(base.lora_targets("all"))
    )
    network = inject_adapter_in_model(config, adapted.network, "mine")
    before = weights(base.network)
    for folder in ("one", "two"):
        base.save_adapter(network, "mine", tmp_path / folder)
    policy = base.open_policy(tmp_path / "one")
    told, t = base.encode_prompts(PROMPTS), base.sample_t(np.array([0.2, 0.5, 0.7]))
    with torch.no_grad():
        wanted = base.predict(network.eval(), draw(base, 3), t, told)
        found = policy.predict(policy.network, draw(base, 3), t, told)
        unchanged = base.predict(base.network, draw(base, 3), t, told)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(found, unchanged, rtol=1e-3, atol=1e-3)
    assert same(weights(base.network), before)
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / f).rglob("*") if p.is_file()} for f in ("one", "two")
    )
    assert one == two


@every_family
def test_a_checkpoint_of_nothing_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="checkpoint"):
        pipeline.open_policy(tmp_path / "empty")
