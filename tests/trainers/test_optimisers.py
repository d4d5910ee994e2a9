"""What moves the weights: optimisers, the average, the scaler of fp16."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers.optimization import Adafactor

from benchmark.core.errors import ConfigError
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.checkpoints import RESUME, step_folder
from trainers.config import TrainConfig
from trainers.logs import read_metrics
from trainers.optimisers import Average, make_optimizer, set_rate
from trainers.refusals import refuse_savings_here
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


@pytest.mark.parametrize(
    "changes",
    [
        {"lora_rank": "full", "max_grad_norm": 1e-3, "ema": 0.9},
        {"lora_rank": "full", "max_grad_norm": None, "optimizer": "adafactor", "objective": "sft"},
        {"max_grad_norm": 1e-3, "gradient_checkpointing": True, "lora_targets": "attention"},
    ],
)
def test_weights_that_move_early_end_where_they_would_have_ended(
    settings: Settings, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit; and no two gradients are held when a weight moves."""
    lr = {"lr": 1e-3, "steps": 3, "save_every": 3}
    late, early = settings("late", **lr, **changes), settings("early", **lr, **changes, early_updates=True)
    train(late)
    held: list[int] = []
    kind: Any = Adafactor if early.optimizer == "adafactor" else torch.optim.AdamW
    step, init = kind.step, Run.__init__
    runs: list[Run] = []

    def starting(self: Run, *args: Any) -> None:
        init(self, *args)
        runs.append(self)

    def counting(self: torch.optim.Optimizer, closure: Any = None) -> Any:
        held.append(sum(p.grad is not None for p in runs[0].parameters))
        return step(self, closure)

    monkeypatch.setattr(Run, "__init__", starting)
    monkeypatch.setattr(kind, "step", counting)
    train(early)
    assert held == [1] * (early.steps * len(runs[0].parameters))
    lines = [read_metrics(config.out) for config in (late, early)]
    for key in ("loss", "grad_norm", "heldout/loss"):
        assert [one.get(key) for one in lines[0]] == [one.get(key) for one in lines[1]]
    assert min(one["grad_norm"] or 0 for one in lines[0][1:]) > 1e-3  # it was cut off where there is a limit
    states = [torch.load(config.out / RESUME, weights_only=True) for config in (late, early)]
    torch.testing.assert_close(states[0]["policy"], states[1]["policy"], rtol=0, atol=0)
    torch.testing.assert_close(states[0]["optimizer"], states[1]["optimizer"], rtol=0, atol=0)


@pytest.mark.optional  # its package is an extra of its own
def test_moments_of_8_bits_are_near_those_of_32_and_take_a_quarter(settings: Settings) -> None:
    pytest.importorskip("torchao", reason="no torchao; `pip install 'fbench[8bit]'`")
    torch.manual_seed(0)
    start, sizes = torch.randn(64, 64), {}
    weights = {name: nn.Parameter(start.clone()) for name in ("adamw", "adamw8bit")}
    for name, weight in weights.items():
        optimizer = make_optimizer(settings(lr=1.0, optimizer=name), [weight])
        g = torch.Generator().manual_seed(1)
        for k in range(20):
            set_rate(optimizer, 1e-3 * (k + 1))
            weight.grad = torch.randn(weight.shape, generator=g)
            optimizer.step()
        moments = (optimizer.state[weight][key] for key in ("exp_avg", "exp_avg_sq"))
        parts = (getattr(one, part) for one in moments for part in getattr(one, "tensor_attrs", ["data"]))
        sizes[name] = sum(part.numel() * part.element_size() for part in parts)
    moved = (weights["adamw"] - start).detach()
    apart = (weights["adamw8bit"] - weights["adamw"]).detach()
    assert 0 < float(apart.norm()) < 0.05 * float(moved.norm())
    # 2 x 4,096 numbers, 32 scales, and two tables of 256 values that make up for it in larger weights.
    assert sizes == {"adamw": 2 * 4096 * 4, "adamw8bit": 2 * 4096 + 32 * 4 + 2 * 256 * 4}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"early_updates": True, "micro_batches": 2}, "micro_batches is 2"),
        ({"early_updates": True, "compile": True}, "compiled network"),
        ({"optimizer": "adamw8bit"}, "pip install 'fbench[8bit]'"),
    ],
)
def test_savings_that_cannot_be_had_are_refused_before_anything_is_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    config = settings(**changes)
    with pytest.raises(ConfigError, match=re.escape(words)):
        train(config)
    assert not config.out.exists()


@pytest.mark.parametrize(
    ("changes", "processes", "words"),
    [
        ({"early_updates": True}, 2, "2 processes"),
        ({"optimizer": "adamw8bit"}, 2, "2 processes"),
        ({"early_updates": True, "precision": "fp16"}, 1, "fp16"),
    ],
)
def test_savings_are_refused_where_they_would_be_wrong(
    settings: Settings, changes: dict[str, Any], processes: int, words: str
) -> None:
    refuse_savings_here([settings(early_updates=True, optimizer="adamw8bit")], "cpu", 1)
    with pytest.raises(ConfigError, match=words):
        refuse_savings_here([settings(**changes)], "cuda", processes)


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
