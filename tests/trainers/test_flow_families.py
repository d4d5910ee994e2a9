"""What a training step asks of a flow model holds for every family of them, whatever it is made of."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.core.errors import ConfigError, UserError
from benchmark.core.records import Sampler
from benchmark.generate import sample_walks
from benchmark.generate.path_kl import path_kl
from benchmark.models.flow.pipeline import FlowPipeline as Pipeline
from trainers.batches import draw_batch, held_out_moments, moments_at
from trainers.config import TrainConfig
from trainers.encoded_pairs import EncodedPairs
from trainers.latents import encode_pairs
from trainers.log_ratio import PolicyAndReference, pair_errors
from trainers.networks import BaseNetwork, FullPolicy, LoraPolicy, base_network, network_errors
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan, make_recipe

Settings = Callable[..., TrainConfig]
PROMPTS, SEEDS = ["a star", "two hearts", ""], [7, 8, 9]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.fixture(scope="session")
def pairs(flow_base: Pipeline, tiny_data: Path, tiny_cache: Path) -> EncodedPairs:
    return encode_pairs(flow_base, load_pairs(str(tiny_data), held_out=0).train, tiny_cache)


def sampler_of(base: Pipeline, **changes: Any) -> Sampler:
    return replace(replace(base.sampler, steps=3, batch_size=3, precision="fp32"), **changes)


@pytest.mark.parametrize(
    ("precision", "dropout"), [("fp32", 0.0), ("fp32", 0.5), ("bf16", 0.5), ("fp16", 0.5)]
)
def test_at_the_reference_s_is_0_to_the_bit_and_halved_weights_say_the_same(
    flow_base: Pipeline, pairs: EncodedPairs, precision: Any, dropout: float
) -> None:
    own_copy = flow_base.with_network(copy.deepcopy(flow_base.network))
    pipeline = replace(own_copy, precision=precision)
    base = base_network(pipeline)
    policies = FullPolicy(base), LoraPolicy(base, "new", 4, "all", 0)
    inputs = draw_batch(pipeline, pairs, BatchPlan(0, 4, draws=2, prompt_dropout=dropout), 0).inputs

    def reference() -> torch.Tensor:
        with torch.no_grad(), base.reference() as network:
            return network_errors(pipeline, network, inputs).error

    whole = reference()
    base.halve(precision)
    halved = reference()
    assert torch.equal(halved, whole)
    layers = [(n, m) for n, m in base.network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert {m.weight.dtype for n, m in layers if "lora_" not in n} == {DTYPES[precision]}
    for policy in policies:
        assert {p.dtype for p in policy.parameters.values()} == {torch.float32}
        with torch.no_grad(), policy.active() as network:
            own = network_errors(pipeline, network, inputs).error
        assert not any(s.any() for s in pair_errors(PolicyAndReference(own, halved), 2500.0).log_ratios())


def test_at_the_published_size_frozen_weights_take_half_the_memory(flow_base: Pipeline) -> None:
    kind: Any = type(flow_base.transformer)
    with torch.device("meta"):
        network = kind()

    def size() -> int:
        return sum(weight.numel() * weight.element_size() for weight in network.parameters())

    before = size()
    assert before > 2e9
    BaseNetwork(flow_base, network).halve("bf16")
    assert size() < 0.505 * before


def test_captions_are_dropped_for_winner_and_loser_alike(flow_base: Pipeline, pairs: EncodedPairs) -> None:
    batch = draw_batch(flow_base, pairs, BatchPlan(0, 6, prompt_dropout=1.0), 0)
    empty = pairs.text(np.zeros(6, dtype=np.int64), flow_base.device)
    for name, part in batch.inputs.text.parts.items():
        assert torch.equal(part, empty.parts[name])
    assert batch.inputs.noisy.shape[0] == 2  # one caption for both sides
    assert len(batch.inputs.text) == 6


def test_sigma_is_drawn_from_seed_step_and_row_by_the_density(
    flow_base: Pipeline, pairs: EncodedPairs
) -> None:
    def sigmas(density: str | None, rows: int = 6, step: int = 3, **more: Any) -> torch.Tensor:
        return draw_batch(flow_base, pairs, BatchPlan(5, rows, t_density=density, **more), step).moments.t

    even, own = sigmas("uniform"), sigmas(None)
    for text in ("logit_normal(mean=1, std=0.5, shift='model')", "uniform(shift=3)"):
        density = flow_base.density(text)
        np.testing.assert_allclose(sigmas(text).numpy(), density(even.double().numpy()), atol=1e-6)
    np.testing.assert_allclose(own.numpy(), flow_base.density(None)(even.double().numpy()), atol=1e-6)
    assert torch.equal(sigmas(None, rows=2), own[:, :2])
    assert torch.equal(sigmas(None), own)
    assert not torch.equal(sigmas(None, step=4), own)
    shared = sigmas(None, share_t="batch")
    assert bool((shared == shared[:, :1]).all())
    # What is held out is looked at evenly, whatever training draws.
    np.testing.assert_allclose(held_out_moments(flow_base, pairs, 4).t[:, 0], [0.125, 0.375, 0.625, 0.875])


def test_the_log_ratio_may_be_of_the_noise_or_the_image(flow_base: Pipeline, pairs: EncodedPairs) -> None:
    u = np.array([[0.2, 0.7]])
    assert moments_at(flow_base, pairs, u).scale is None
    scales = {of: moments_at(flow_base, pairs, u, of).scale for of in ("noise", "image")}
    torch.testing.assert_close(scales["noise"], torch.tensor([[0.64, 0.09]]))
    torch.testing.assert_close(scales["image"], torch.tensor([[0.04, 0.49]]))
    plan = BatchPlan(0, 4, error_of="noise")
    batch = draw_batch(flow_base, pairs, plan, 0)
    torch.testing.assert_close(batch.moments.scale, (1 - batch.moments.t).square())


def test_a_constant_shift_of_the_velocity_has_the_path_kl_of_its_closed_form(flow_base: Pipeline) -> None:
    policy = flow_base.with_network(flow_base.empty_network().requires_grad_(False).eval())
    policy.network.load_state_dict(flow_base.network.state_dict())
    with torch.no_grad():
        policy.network.get_parameter("proj_out.bias").add_(0.25)
    sampler = sampler_of(flow_base, steps=5)
    steps = flow_base.transition_steps(5)
    assert steps.index.tolist() == [0, 1, 2, 3]
    wanted = float((steps.scale(flow_base.latent_size) * 0.25**2).sum())
    found = np.concatenate(list(path_kl(policy, flow_base, PROMPTS, SEEDS, sampler)))
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    assert not np.concatenate(list(path_kl(flow_base, flow_base, PROMPTS, SEEDS, sampler))).any()
    # A walk begins at noise alone, which is in the last quarter of the noise levels all the same.
    assert float(steps.t[0]) == 1
    assert 0.999 < float(flow_base.noise_level(steps.t)[0]) < 1
    # Euler's steps are the ones that draw noise, and every family has them.
    walks = sample_walks(flow_base, PROMPTS, SEEDS, replace(sampler, name="euler", eta=1.0))
    assert walks.shape == (3, 6, *flow_base.latent_shape)
    assert np.isfinite(walks).all()


def test_settings_of_flow_models_are_checked_before_anything_is_loaded(
    flow_folder: Path, settings: Settings, tiny_pipeline_folder: Path
) -> None:
    with pytest.raises(ConfigError, match="t_density is normal"):
        settings(base=str(flow_folder), t_density="normal")
    for changes in ({"t_density": "uniform"}, {"error_of": "noise"}):
        make_recipe(settings(base=str(flow_folder), **changes))
        with pytest.raises(UserError, match="no flow-matching model"):
            make_recipe(settings(base=str(tiny_pipeline_folder), **changes))
    with pytest.raises(ConfigError, match="t_density is set"):
        make_recipe(settings(base=str(flow_folder), t_density="uniform", estimator="transition"))


def test_a_unet_has_no_density(tiny_pipeline: Any, settings: Settings) -> None:
    assert tiny_pipeline.density(None) is None
    with pytest.raises(UserError, match="t_density is uniform.*no flow-matching model"):
        tiny_pipeline.density("uniform")
    assert tiny_pipeline.error_weight(torch.tensor([5]), "prediction") is None
    with pytest.raises(UserError, match="error_of is noise"):
        tiny_pipeline.error_weight(torch.tensor([5]), "noise")
