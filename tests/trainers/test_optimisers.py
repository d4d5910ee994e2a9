"""What moves the weights: optimisers, the average, the scaler of fp16."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers.optimization import Adafactor

from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.checkpoints import RESUME, step_folder
from trainers.config import TrainConfig
from trainers.logs import read_metrics
from trainers.optimisers import Average, make_optimizer
from trainers.run import Run
from trainers.train import train

Settings = Callable[..., TrainConfig]


def test_each_optimiser_is_the_librarys(settings: Settings) -> None:
    weight = nn.Parameter(torch.ones(3, 3))
    adamw = make_optimizer(settings(lr=0.1, weight_decay=0.2), [weight])
    assert isinstance(adamw, torch.optim.AdamW)
    assert (adamw.defaults["lr"], adamw.defaults["weight_decay"]) == (0.1, 0.2)
    adafactor = make_optimizer(settings(lr=0.1, weight_decay=0.2, optimizer="adafactor"), [weight])
    assert isinstance(adafactor, Adafactor)
    assert adafactor.defaults["lr"] == 0.1
    # The schedule is fbench's: Adafactor must neither make a rate of its own nor scale it by the weights.
    assert not adafactor.defaults["relative_step"]
    assert not adafactor.defaults["scale_parameter"]


def test_adafactor_keeps_less(settings: Settings) -> None:
    sizes = {}
    for name in ("adamw", "adafactor"):
        config = settings(name, optimizer=name, steps=2, lr=1e-3)
        train(config)
        assert read_metrics(config.out)[-1]["loss"] != pytest.approx(0.6931, abs=1e-5)
        state = torch.load(config.out / RESUME, weights_only=True)["optimizer"]["state"]
        sizes[name] = sum(v.numel() for one in state.values() for v in one.values() if torch.is_tensor(v))
    assert sizes["adafactor"] < 0.6 * sizes["adamw"]


def test_the_average_follows_its_formula() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    average, expected = Average([weight], 0.5), 1.0
    for k, value in enumerate((2.0, 4.0, 8.0, 16.0), 1):
        with torch.no_grad():
            weight.fill_(value)
        average.update()
        decay = min(0.5, (1 + k) / (10 + k))
        expected = decay * expected + (1 - decay) * value
        with average.applied():
            assert float(weight.detach()) == pytest.approx(expected)
        assert float(weight.detach()) == value


def test_what_is_saved_and_watched_is_the_average(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps themselves are those of a run without one."""
    plain, averaged = settings("plain"), settings("averaged", ema=0.9)
    train(plain)
    seen: dict[str, Any] = {}
    look = Run.held_out_logs

    def looking(self: Run, *args: Any) -> Any:
        seen["at"] = {name: p.detach().clone() for name, p in self.policy.parameters.items()}
        return look(self, *args)

    monkeypatch.setattr(Run, "held_out_logs", looking)
    train(averaged)
    lines = [read_metrics(config.out) for config in (plain, averaged)]
    assert [line["loss"] for line in lines[0][1:]] == [line["loss"] for line in lines[1][1:]]
    assert lines[0][-1]["heldout/loss"] != lines[1][-1]["heldout/loss"]
    states = [torch.load(config.out / RESUME, weights_only=True) for config in (plain, averaged)]
    for name, value in states[0]["policy"].items():
        assert torch.equal(value, states[1]["policy"][name])
    shadows = dict(zip(states[1]["policy"], states[1]["average"]["shadow_params"], strict=True))
    for name, value in seen["at"].items():
        torch.testing.assert_close(value, shadows[name])
    files = [next(step_folder(config.out, 4).glob("*.safetensors")) for config in (plain, averaged)]
    assert files[0].read_bytes() != files[1].read_bytes()


def test_a_scaled_gradient_is_the_gradient(
    settings: Settings, tiny_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp16's scaler on a CPU in float32: the same steps, and one that overflows is left out."""
    plain, scaled = settings("plain"), settings("scaled")
    train(plain)
    init, factor = Run.__init__, {"now": 2.0**12}

    def with_scaler(self: Run, *args: Any, **more: Any) -> None:
        init(self, *args, **more)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=factor["now"], enabled=True)

    monkeypatch.setattr(Run, "__init__", with_scaler)
    train(scaled)
    lines = [read_metrics(config.out) for config in (plain, scaled)]
    for a, b in zip(lines[0][1:], lines[1][1:], strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["grad_norm"] == pytest.approx(a["grad_norm"], rel=1e-3)
    factor["now"] = 2.0**127
    overflowing = settings("overflowing", steps=1)
    train(overflowing)
    state = torch.load(overflowing.out / RESUME, weights_only=True)
    assert state["scaler"]["scale"] == 2.0**126
    # The step was left out: no moment has moved.
    assert all(float(one["step"]) == 0 for one in state["optimizer"]["state"].values())
    assert not any(bool(one["exp_avg"].any()) for one in state["optimizer"]["state"].values())
