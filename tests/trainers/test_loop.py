"""The step: what the reference is, what the gradient is, what the held-out loss says."""

import math
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from accelerate import PartialState

from benchmark.models import load_pipeline as load_any
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers import loop
from trainers.batches import Batch, draw_batch
from trainers.config import TrainConfig
from trainers.encoded_pairs import EncodedPairs
from trainers.heldout import HeldOut
from trainers.latents import encode_pairs
from trainers.log_ratio import PolicyAndReference, log_ratio, pair_errors
from trainers.logs import Metrics, Watch, read_metrics
from trainers.loop import learning_rate
from trainers.networks import FullPolicy, LoraPolicy, NetworkErrors, base_network, network_errors, split
from trainers.objectives import PairErrors
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan, make_recipe
from trainers.run import Run
from trainers.shared import Shared
from trainers.train import train

load_pipeline = cast("Callable[..., Pipeline]", load_any)


Settings = Callable[..., TrainConfig]


@pytest.fixture
def pipeline(tiny_pipeline_folder: Path) -> Pipeline:
    """One of its own for each test: training puts adapters on it."""
    return load_pipeline(str(tiny_pipeline_folder), precision="fp32")


@pytest.fixture
def pairs(tiny_data: Path, tiny_cache: Path, pipeline: Pipeline) -> EncodedPairs:
    return encode_pairs(pipeline, load_pairs(str(tiny_data)).train, tiny_cache)


def disturb(parameters: dict[str, Any], seed: int = 0) -> None:
    """Moves weights away from where they start."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in parameters.values():
            p.add_(0.02 * torch.randn(p.shape, generator=g))


def shared_with(pipeline: Pipeline, pairs: EncodedPairs) -> Shared:
    """What the runs of one process share, without pairs to watch."""
    return Shared(pipeline, base_network(pipeline), pairs, None, None, "", PartialState(cpu=True))


def one_step(
    config: TrainConfig, pipeline: Pipeline, pairs: EncodedPairs
) -> tuple[Run, Batch, NetworkErrors]:
    """A disturbed LoRA policy, a batch, and what the reference says of it."""
    recipe, shared = make_recipe(config), shared_with(pipeline, pairs)
    policy = LoraPolicy(shared.base, "one", 4, "all", 0)
    disturb(policy.parameters)
    batch = draw_batch(pipeline, pairs, recipe.plan, 0)
    with torch.no_grad(), shared.base.reference() as network:
        reference = network_errors(pipeline, network, batch.inputs, keep=True)
    return Run(config, recipe, policy, shared), batch, reference


def gradients_of(
    run: Run, batch: Batch, reference: NetworkErrors, monkeypatch: pytest.MonkeyPatch
) -> list[torch.Tensor]:
    """What `train_step` hands to the optimiser, before clipping."""
    seen: list[torch.Tensor] = []

    def clip(parameters: list[torch.nn.Parameter], _: float) -> torch.Tensor:
        seen.extend(p.grad.clone() for p in parameters if p.grad is not None)
        return torch.tensor(1.0)

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
        loop.train_step(run, batch, reference)
    return seen


@pytest.mark.parametrize("targets", ["attention", "all"])
def test_with_lora_the_reference_is_the_base_with_the_adapter_off(
    settings: Settings, pipeline: Pipeline, pairs: EncodedPairs, targets: Any
) -> None:
    shared, plan = base_network(pipeline), make_recipe(settings()).plan
    inputs = draw_batch(pipeline, pairs, plan, 0).inputs
    with torch.no_grad():
        base = network_errors(pipeline, pipeline.unet, inputs).error
        policies = [LoraPolicy(shared, f"p{i}", 4, targets, i) for i in range(2)]
        for i, policy in enumerate(policies):
            disturb(policy.parameters, i)
        seen = []
        for policy in policies:
            with policy.active() as unet:
                assert unet is pipeline.unet  # one copy
                seen.append(network_errors(pipeline, unet, inputs).error)
        with shared.reference() as unet:
            assert torch.equal(network_errors(pipeline, unet, inputs).error, base)
    assert not torch.equal(seen[0], base)
    assert not torch.equal(seen[0], seen[1])
    shared.release()
    assert not any("lora" in name for name, _ in pipeline.unet.named_parameters())
    with torch.no_grad():
        assert torch.equal(network_errors(pipeline, pipeline.unet, inputs).error, base)


def test_only_the_policys_own_weights_are_trained(pipeline: Pipeline) -> None:
    shared = base_network(pipeline)
    full = FullPolicy(shared)
    lora = LoraPolicy(shared, "a", 2, "attention", 0)
    other = LoraPolicy(shared, "b", 2, "attention", 0)
    assert all(p.requires_grad for p in full.parameters.values())
    assert full.network is not pipeline.unet
    with lora.active() as unet:
        trained = {id(p) for p in unet.parameters() if p.requires_grad}
    assert trained == {id(p) for p in lora.parameters.values()}
    assert not trained & {id(p) for p in other.parameters.values()}
    assert lora.parameters.keys() == other.parameters.keys()


def test_the_first_weights_are_the_seeds(pipeline: Pipeline) -> None:
    shared = base_network(pipeline)
    state = torch.random.get_rng_state()
    values = [
        list(LoraPolicy(shared, f"p{i}", 2, "all", seed).parameters.values())
        for i, seed in enumerate((1, 1, 2))
    ]
    assert all(torch.equal(a, b) for a, b in zip(values[0], values[1], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(values[0], values[2], strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("centre", ["none", "drift"])
def test_the_gradient_is_that_of_the_objective(
    settings: Settings, pipeline: Pipeline, pairs: EncodedPairs, monkeypatch: pytest.MonkeyPatch, centre: str
) -> None:
    config = settings(divergence="forward_kl", draws=2, log_ratio_centre=centre)
    run, batch, reference = one_step(config, pipeline, pairs)
    with run.policy.active() as unet:
        own = network_errors(pipeline, unet, batch.inputs, keep=True)
    assert own.prediction is not None
    assert reference.prediction is not None
    drift = (
        (own.prediction - reference.prediction).square().mean((-3, -2, -1)).detach()
        if centre == "drift"
        else 0
    )
    s = -100.0 * (own.error - reference.error - drift)
    loss = -torch.nn.functional.logsigmoid(1.0 * (-torch.expm1(-s[0]) + torch.expm1(-s[1]))).mean()
    wanted = torch.autograd.grad(loss, run.parameters)
    found = gradients_of(run, batch, reference, monkeypatch)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * float(b.abs().max()) + 1e-7)


@pytest.mark.parametrize("objective", ["f_dpo", "rpo", "sft"])
def test_micro_batches_give_the_gradient_of_the_whole_batch(
    settings: Settings,
    pipeline: Pipeline,
    pairs: EncodedPairs,
    monkeypatch: pytest.MonkeyPatch,
    objective: str,
) -> None:
    found = []
    for parts in (1, 3):
        config = settings(objective=objective, batch_size=5, micro_batches=parts)
        run, batch, reference = one_step(config, pipeline, pairs)
        with monkeypatch.context() as patch:
            embedded = torch.eye(5) + 0.5
            patch.setattr(run, "embeddings", SimpleNamespace(of_pairs=lambda *_, e=embedded: (e, e)))
            found.append(gradients_of(run, batch, reference, monkeypatch))
        base_network(pipeline).release()
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))


def test_split_covers_every_pair_once() -> None:
    for n in range(1, 9):
        for parts in range(1, n + 1):
            assert [i for part in split(n, parts) for i in range(n)[part]] == list(range(n))


@pytest.mark.parametrize("divergence", ["reverse_kl", "jensen_shannon", "forward_kl"])
@pytest.mark.parametrize("lora_rank", [4, "full"])
def test_training_starts_at_log_2_to_the_bit(settings: Settings, divergence: str, lora_rank: Any) -> None:
    config = settings(divergence=divergence, lora_rank=lora_rank, steps=1)
    train(config)
    start, first = read_metrics(config.out)
    assert start["heldout/loss"] == pytest.approx(math.log(2), abs=1e-7)
    assert start["heldout/accuracy"] == 0.5
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-7)
    assert first["winner/s_mean"] == 0.0
    assert first["heldout/loss"] != start["heldout/loss"]


def test_sft_starts_at_the_references_own_error(
    settings: Settings, pipeline: Pipeline, tiny_cache: Path
) -> None:
    config = settings(objective="sft", steps=1, lr=1e-12)
    result = train(config)
    start, first = read_metrics(config.out)
    assert start["heldout/loss"] == pytest.approx(first["heldout/loss"], rel=1e-5)
    held_out = encode_pairs(pipeline, load_pairs(config.data).held_out, tiny_cache)
    seen = HeldOut(pipeline, base_network(pipeline), held_out, 4).at_reference()
    assert start["heldout/loss"] == pytest.approx(float(seen.policy[0].mean()), rel=1e-5)
    assert result.held_out_loss_at_reference == start["heldout/loss"]


def test_what_math_asks_for_is_logged(settings: Settings) -> None:
    config = settings(batch_size=16, steps=2, draws=2, divergence="forward_kl")
    train(config)
    lines = read_metrics(config.out)
    assert [line["step"] for line in lines] == [0, 1, 2]
    last = lines[-1]
    for where in ("", "t1/", "t4/", "heldout/", "heldout/t2/"):
        for side in ("winner", "loser"):
            for what in ("s_mean", "s_q05", "s_q50", "s_q95", "slope_mean", "beyond_knee"):
                assert f"{where}{side}/{what}" in last
    for what in ("loss", "accuracy", "grad_norm", "lr", "samples_per_second", "diverged"):
        assert what in last
    quarters = [float(last[f"heldout/t{q}/winner/s_mean"] or 0) for q in (1, 2, 3, 4)]
    assert sum(quarters) / 4 == pytest.approx(last["heldout/winner/s_mean"], rel=1e-4)


@pytest.mark.parametrize("share_t", ["batch", "pair"])
def test_share_t_reaches_the_batches(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, share_t: str
) -> None:
    update, seen = loop.train_step, []

    def look(run: Run, batch: Batch, *rest: Any) -> Metrics:
        seen.append(len(batch.moments.t.unique()))
        return update(run, batch, *rest)

    monkeypatch.setattr(loop, "train_step", look)
    train(settings(share_t=share_t, steps=2, batch_size=8, held_out_pairs=0))
    assert (seen == [1, 1]) == (share_t == "batch")


def test_slope_matching_divides_beta(settings: Settings) -> None:
    plain = make_recipe(settings(divergence="jensen_shannon"))
    matched = make_recipe(settings(divergence="jensen_shannon", slope_matched=True))
    assert plain.beta is not None
    assert matched.beta == 2 * plain.beta
    assert getattr(matched.objective, "beta", None) == matched.beta


def test_rpo_shares_t_unless_told_otherwise(settings: Settings) -> None:
    assert make_recipe(settings(objective="rpo(tau=0.3)")).plan.share_t == "batch"
    assert make_recipe(settings(objective="rpo", share_t="pair")).plan.share_t == "pair"
    assert make_recipe(settings()).plan.share_t == "pair"


def after(*shares: float) -> bool:
    """Whether a run with these shares beyond the knee before its first checkpoint is marked at its second."""
    watch = Watch(held_out_loss=0.6, at_reference=0.7)
    for share in shares:
        watch.note_step({"winner/beyond_knee": 0.0, "loser/beyond_knee": share})
    watch.close_window()
    watch.note_step({})
    watch.close_window()
    return watch.diverged


def test_a_run_is_marked_by_the_knee_or_by_a_held_out_loss_above_its_start() -> None:
    assert not after(0.0, 0.019)  # 0.95 % on average
    assert after(0.0, 0.021)  # and it stays marked
    assert Watch(held_out_loss=0.71, at_reference=0.7).diverged
    assert not Watch(held_out_loss=0.7, at_reference=0.7).diverged
    assert not Watch().diverged


def test_learning_rates(settings: Settings) -> None:
    constant = settings(lr=1.0, warmup=2, steps=6)
    assert [learning_rate(constant, k) for k in range(6)] == [0.5, 1, 1, 1, 1, 1]
    cosine = settings(lr=1.0, warmup=2, steps=6, lr_schedule="cosine")
    rates = [learning_rate(cosine, k) for k in range(7)]
    assert rates[:3] == [0.5, 1, 1]
    assert rates[4] == pytest.approx(0.5)
    assert rates[6] == pytest.approx(0)


def test_objective_on_the_gathered_batch_equals_the_record_it_is_given(
    settings: Settings, pipeline: Pipeline
) -> None:
    """`PairErrors` of a step holds s of both sides with kappa applied once."""
    recipe = make_recipe(settings())
    m, ref = torch.rand(2, 1, 3), torch.rand(2, 1, 3)
    errors = pair_errors(PolicyAndReference(m, ref), recipe.scale(pipeline.latent_shape))
    s = log_ratio(m, ref, 100.0)
    assert torch.equal(errors.log_ratios()[0], s[0])
    assert torch.equal(
        recipe.objective(errors).loss, recipe.objective(PairErrors(m[0], m[1], s[0], s[1])).loss
    )


@pytest.mark.parametrize("keep", [False, True])
def test_of_a_part_only_what_is_wanted_stays(
    pipeline: Pipeline, pairs: EncodedPairs, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    """Micro-batches are there to need less memory: no part's predictions wait for the next part's."""
    predict, alive = type(pipeline).predict, list[Any]()
    most = 0

    def counted(self: Pipeline, *args: Any, **more: Any) -> torch.Tensor:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))
        said: torch.Tensor = predict(self, *args, **more)
        alive.append(weakref.ref(said))
        return said

    monkeypatch.setattr(type(pipeline), "predict", counted)
    inputs = draw_batch(pipeline, pairs, BatchPlan(0, 8), 0).inputs
    with torch.no_grad():
        found = network_errors(pipeline, pipeline.network, inputs, split(8, 4), keep=keep)
    assert found.error.shape == (2, 1, 8)
    assert (found.prediction is not None) == keep
    assert len(alive) == 4
    assert keep or most == 0
