"""Batches that another thread draws ahead are the batches."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmark.models.files import LORA_FILE
from trainers import batches, loop
from trainers.batches import batches as ahead_of_time
from trainers.batches import draw_batch
from trainers.checkpoints import step_folder
from trainers.config import TrainConfig
from trainers.train import train_many

Settings = Callable[..., TrainConfig]


def test_a_run_is_the_same_to_the_bit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    draw = draw_batch

    def counting(*args: Any) -> Any:
        asked.append(args[3])
        return draw(*args)

    monkeypatch.setattr(batches, "draw_batch", counting)
    plain = [settings(f"plain{i}", seed=i) for i in (0, 1)]
    train_many(plain)
    assert sorted(asked) == [0, 0, 1, 1, 2, 2, 3, 3]
    ahead = [settings(f"ahead{i}", seed=i) for i in (0, 1)]
    monkeypatch.setattr(loop, "batches", lambda *shared: ahead_of_time(*shared, ahead=True))
    train_many(ahead)
    for a, b in zip(plain, ahead, strict=True):
        files = [(step_folder(config.out, 4) / LORA_FILE).read_bytes() for config in (a, b)]
        assert files[0] == files[1]


def test_what_goes_wrong_in_the_other_thread_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = draw_batch

    def broken(*args: Any) -> Any:
        if args[3] == 2:
            raise MemoryError("no more")
        return draw(*args)

    monkeypatch.setattr(batches, "draw_batch", broken)
    monkeypatch.setattr(loop, "batches", lambda *shared: ahead_of_time(*shared, ahead=True))
    with pytest.raises(MemoryError, match="no more"):
        train_many([settings()])
    assert torch.is_grad_enabled()
