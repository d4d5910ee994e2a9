"""Two processes with N pairs each train what one does with 2N."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import PartialState, debug_launcher
from safetensors.torch import load_file
from torch import Tensor, nn

from trainers.checkpoints import step_folder
from trainers.config import TrainConfig
from trainers.logs import Metrics, read_metrics
from trainers.networks import whole
from trainers.run import Run
from trainers.train import train

Settings = Callable[..., TrainConfig]
STEPS = 3
NOT_COMPARED = (
    "seconds", "shared_seconds", "samples_per_second", "memory_gb", "accuracy", "heldout/accuracy",
)  # fmt: skip
"""Clocks, and what jumps where a margin is a rounding error."""


def _run(values: Mapping[str, Any]) -> None:
    """Three steps of plain gradient descent; keeps each step's gradients as they are before clipping."""
    config = TrainConfig.parse(values)
    clip = nn.utils.clip_grad_norm_
    steps = 0

    def keeping(parameters: list[nn.Parameter], max_norm: float) -> Tensor:
        nonlocal steps
        gradients = [whole(p.grad).clone() for p in parameters if p.grad is not None]
        if PartialState().is_main_process:
            torch.save(gradients, config.out / f"gradients-{steps}.pt")
        steps += 1
        return clip(parameters, max_norm)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.utils, "clip_grad_norm_", keeping)
        patch.setattr(
            "trainers.run.make_optimizer", lambda c, parameters: torch.optim.SGD(parameters, lr=c.lr)
        )
        train(config)
    assert steps == STEPS


def _work(values: Mapping[str, Any], sharded: bool = False) -> None:
    """What each process runs; it was forked from one that thinks it is alone."""
    PartialState._reset_state()
    os.environ["ACCELERATE_USE_FSDP"] = str(sharded).lower()  # as its launcher says it
    torch.set_num_threads(1)
    _run(values)
    # A launcher that quietly starts one process would make this test pass for nothing.
    assert PartialState().num_processes == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "f_dpo", "divergence": "jensen_shannon"},
        {"objective": "rpo", "divergence": "forward_kl"},
        {"objective": "rpo", "micro_batches": 2, "lora_rank": "full"},
        {"objective": "dspo"},
        {"objective": "kto"},
        {"objective": "f_dpo", "lora_rank": "full", "validation_images": 2, "ema": 0.5, "sharded": True},
    ],
    ids=["f_dpo", "rpo", "rpo-full-in-parts", "dspo", "kto", "full-sharded"],
)
def test_losses_gradients_and_weights_are_those_of_one(
    settings: Settings, tiny_clip: Path, changes: dict[str, Any]
) -> None:
    sharded = bool(changes.pop("sharded", False))
    common: dict[str, Any] = {"steps": STEPS, "save_every": STEPS, "lr": 0.1, "batch_size": 4}
    common |= {"log_ratio_scale": 10.0, **changes}
    if changes["objective"] == "rpo":
        common["clip"] = tiny_clip
    one, two = settings("one", **common), settings("two", **common)
    debug_launcher(_work, (two.model_dump(), sharded), num_processes=2)
    _run(one.model_dump())

    lines = [read_metrics(config.out) for config in (one, two)]
    assert [line["step"] for line in lines[1]] == list(range(STEPS + 1))
    for a, b in zip(*lines, strict=True):
        for key in a.keys() - set(NOT_COMPARED):
            # Kernels round otherwise on batches of another size, and s is that times kappa.
            loose = 1 if key.endswith("loss") else 100
            assert b[key] == pytest.approx(a[key], rel=loose * 1e-5, abs=loose * 1e-5), key
    for step in range(STEPS):
        ours, theirs = (torch.load(config.out / f"gradients-{step}.pt") for config in (one, two))
        assert any(float(gradient.abs().max()) > 1e-3 for gradient in ours)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-5)
    weights = [_weights(step_folder(config.out, STEPS)) for config in (one, two)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-5, atol=1e-5)


def _weights(folder: Path) -> dict[str, Tensor]:
    (file,) = folder.rglob("*.safetensors")
    return dict(load_file(file))


def test_a_sharded_run_goes_on_in_one_process_and_back(settings: Settings) -> None:
    common: dict[str, Any] = {"lora_rank": "full", "steps": 6, "save_every": 2, "lr": 1e-3, "ema": 0.9}
    whole_run, broken = settings("whole", **common), settings("broken", **common)
    train(whole_run)
    for until, sharded in ((2, True), (4, False), (6, True)):
        debug_launcher(_until, (broken.model_dump(), until, sharded), num_processes=2 if sharded else 1)
    weights = [_weights(step_folder(config.out, 6)) for config in (whole_run, broken)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)


def _until(values: Mapping[str, Any], step: int, sharded: bool) -> None:
    """Trains as far as a checkpoint, and ends there as Ctrl-C ends it."""
    PartialState._reset_state()
    torch.set_num_threads(1)
    os.environ["ACCELERATE_USE_FSDP"] = str(sharded).lower()
    config = TrainConfig.parse(values)
    record = Run.record

    def recording(self: Run, metrics: Metrics) -> None:
        record(self, metrics)
        if self.step == step < config.steps:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Run, "record", recording)
        train(config)
    assert PartialState().num_processes == (2 if sharded else 1)
