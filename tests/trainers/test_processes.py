"""Two processes train what one does."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from accelerate import PartialState, debug_launcher
from safetensors.torch import load_file

from trainers.checkpoints import LORA_FILE, step_folder
from trainers.config import TrainConfig
from trainers.step_logs import read_metrics
from trainers.train import train

Settings = Callable[..., TrainConfig]


def _work(values: dict[str, Any]) -> None:
    """What each process runs; it was forked from one that thinks it is alone."""
    PartialState._reset_state()
    torch.set_num_threads(1)
    train(TrainConfig.parse(values))
    # A launcher that quietly starts one process would make this test pass for nothing.
    assert PartialState().num_processes == 2


def test_two_processes_give_the_gradient_of_one(settings: Settings) -> None:
    one, two = settings("one", steps=2, lr=1e-3), settings("two", steps=2, lr=1e-3)
    debug_launcher(_work, (two.model_dump(),), num_processes=2)
    train(one)
    lines = [read_metrics(config.out) for config in (one, two)]
    assert [line["step"] for line in lines[1]] == [0, 1, 2]
    for a, b in zip(*lines, strict=True):
        for key in ("loss", "accuracy", "grad_norm", "winner/s_mean", "heldout/loss"):
            if key in a:
                assert b[key] == pytest.approx(a[key], rel=1e-3, abs=1e-5)
    weights = [load_file(step_folder(config.out, 2) / LORA_FILE) for config in (one, two)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-2, atol=2e-4)
