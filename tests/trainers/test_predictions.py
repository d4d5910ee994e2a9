"""Objectives that need the predictions themselves: their gradient is exact, however a batch is split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from accelerate import PartialState

from benchmark.models import load_pipeline as load_any
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.batches import draw_batch
from trainers.config import TrainConfig
from trainers.encoded_pairs import EncodedPairs
from trainers.heldout import HeldOut
from trainers.latents import encode_pairs
from trainers.loop import train_step
from trainers.networks import LoraPolicy, base_network, network_errors
from trainers.pairs import load_pairs
from trainers.recipe import make_recipe
from trainers.run import Run
from trainers.shared import Shared

load_pipeline = cast("Callable[..., Pipeline]", load_any)


Settings = Callable[..., TrainConfig]
DSPO: dict[str, Any] = {"objective": "dspo", "beta": 0.9, "log_ratio_scale": 5.0}


@pytest.fixture
def pipeline(tiny_pipeline_folder: Path) -> Pipeline:
    """One of its own for each test: training puts adapters on it."""
    return load_pipeline(str(tiny_pipeline_folder), precision="fp32")


@pytest.fixture
def pairs(tiny_data: Path, tiny_cache: Path, pipeline: Pipeline) -> EncodedPairs:
    return encode_pairs(pipeline, load_pairs(str(tiny_data)).train, tiny_cache)


def disturbed(policy: LoraPolicy) -> LoraPolicy:
    """The policy with weights away from where they start."""
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in policy.parameters.values():
            p.add_(0.02 * torch.randn(p.shape, generator=g))
    return policy


def dspo_by_hand(v: torch.Tensor, ref: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The loss at the settings above, from predictions with the side first."""
    m, before = ((x - target).square().mean((-3, -2, -1)) for x in (v, ref))
    s = -5.0 * (m - before)
    push = 0.9 * torch.sigmoid(-0.9 * (s[0] - s[1]))[..., None, None, None]
    return (v[0] - target[0] - push * (v[0] - ref[0])).square().mean()


@pytest.mark.parametrize(("parts", "centre"), [(1, "none"), (3, "none"), (2, "drift")])
def test_the_gradient_is_that_of_the_loss_on_predictions(
    settings: Settings,
    pipeline: Pipeline,
    pairs: EncodedPairs,
    monkeypatch: pytest.MonkeyPatch,
    parts: int,
    centre: str,
) -> None:
    config = settings(**DSPO, batch_size=5, draws=2, micro_batches=parts, log_ratio_centre=centre)
    recipe, network = make_recipe(config), base_network(pipeline)
    shared = Shared(pipeline, network, pairs, None, None, "", PartialState(cpu=True))
    policy = disturbed(LoraPolicy(network, "one", 4, "all", 0))
    inputs = (batch := draw_batch(pipeline, pairs, recipe.plan, 0)).inputs
    with torch.no_grad(), network.reference() as unet:
        reference = network_errors(pipeline, unet, inputs, keep=True)
    with policy.active() as unet:
        own = network_errors(pipeline, unet, inputs, keep=True)
    assert own.prediction is not None
    assert reference.prediction is not None
    if centre == "none":
        loss = dspo_by_hand(own.prediction, reference.prediction, inputs.target)
    else:  # the drift is the policy's own and carries no gradient
        drift = (own.prediction - reference.prediction).square().mean((-3, -2, -1)).detach()
        s = -5.0 * (own.error - reference.error - drift)
        push = 0.9 * torch.sigmoid(-0.9 * (s[0] - s[1]))[..., None, None, None]
        moved = own.prediction[0] - reference.prediction[0]
        loss = (own.prediction[0] - inputs.target[0] - push * moved).square().mean()
    wanted = torch.autograd.grad(loss, list(policy.parameters.values()))
    found: list[torch.Tensor] = []

    def clip(parameters: list[torch.nn.Parameter], _: float) -> torch.Tensor:
        found.extend(p.grad.clone() for p in parameters if p.grad is not None)
        return torch.tensor(1.0)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    metrics = train_step(Run(config, recipe, policy, shared), batch, reference)
    assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()) + 1e-8)


def test_the_held_out_loss_is_that_of_the_predictions(
    settings: Settings, pipeline: Pipeline, pairs: EncodedPairs
) -> None:
    config, network = settings(**DSPO), base_network(pipeline)
    policy = disturbed(LoraPolicy(network, "one", 4, "all", 0))
    held_out = HeldOut(pipeline, network, pairs, 2)
    shared = Shared(pipeline, network, pairs, None, held_out, "", PartialState(cpu=True))
    run = Run(config, make_recipe(config), policy, shared)
    start = run.held_out_logs()
    errors = held_out.at_reference()
    assert start["heldout/loss"] == pytest.approx(float(errors.policy[0].mean()), rel=1e-5)
    assert errors.predictions is None
    run.step = 1
    seen = held_out.errors_of(policy, sides=2, drift=False, predictions=True).predictions
    assert seen is not None
    assert seen.reference is not None
    assert seen.policy.shape[:3] == (2, 2, len(pairs))
    by_hand = float(dspo_by_hand(seen.policy, seen.reference, seen.target))
    assert by_hand != pytest.approx(float(errors.policy[0].mean()), rel=1e-3)
    assert run.held_out_logs()["heldout/loss"] == pytest.approx(by_hand, rel=1e-5)
