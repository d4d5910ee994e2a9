"""Objectives that need the predictions themselves: their gradient is exact, however a batch is split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from benchmark.models import load_pipeline as load_any
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.config import TrainConfig
from trainers.draws import draw_batch
from trainers.heldout import HeldOut
from trainers.latents import EncodedPairs, encode_pairs
from trainers.networks import LoraPolicy, network_errors, share_unet
from trainers.pairs import load_pairs
from trainers.recipe import make_recipe
from trainers.trainee import Trainee

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


def disturbed(trainee_of: LoraPolicy) -> LoraPolicy:
    """The policy with weights away from where they start."""
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in trainee_of.parameters.values():
            p.add_(0.02 * torch.randn(p.shape, generator=g))
    return trainee_of


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
    recipe, shared = make_recipe(config), share_unet(pipeline)
    policy = disturbed(LoraPolicy(shared, "one", 4, "all", 0))
    inputs = (batch := draw_batch(pipeline, pairs, recipe.plan, 0)).inputs
    with torch.no_grad(), shared.reference() as unet:
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
    metrics = Trainee(config, recipe, policy, pipeline).update(batch, reference, None, lambda: "")
    assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()) + 1e-8)


def test_the_held_out_loss_is_that_of_the_predictions(
    settings: Settings, pipeline: Pipeline, pairs: EncodedPairs
) -> None:
    config, shared = settings(**DSPO), share_unet(pipeline)
    policy = disturbed(LoraPolicy(shared, "one", 4, "all", 0))
    held_out = HeldOut(pipeline, shared, pairs, 2)
    trainee = Trainee(config, make_recipe(config), policy, pipeline)
    start = trainee.look(held_out, None)
    errors = held_out.at_reference()
    assert start["heldout/loss"] == pytest.approx(float(errors.policy[0].mean()), rel=1e-5)
    assert errors.predictions is None
    trainee.step = 1
    seen = held_out.see(policy, sides=2, drift=False, predictions=True).predictions
    assert seen is not None
    assert seen.reference is not None
    assert seen.policy.shape[:3] == (2, 2, len(pairs))
    by_hand = float(dspo_by_hand(seen.policy, seen.reference, seen.target))
    assert by_hand != pytest.approx(float(errors.policy[0].mean()), rel=1e-3)
    assert trainee.look(held_out, None)["heldout/loss"] == pytest.approx(by_hand, rel=1e-5)
