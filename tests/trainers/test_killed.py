"""A run that is killed without warning: the same call ends as one that never was."""

import json
import multiprocessing as mp
import os
import random
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.core.manifest import read_manifest
from trainers.checkpoints import RESUME, step_folder
from trainers.config import TrainConfig
from trainers.logs import MetricsFile, read_metrics
from trainers.train import train

Settings = Callable[..., TrainConfig]
STEPS, SAVES = 12, 3
CLOCK = ("seconds", "shared_seconds", "samples_per_second", "memory_gb")
WAYS: tuple[dict[str, Any], ...] = (
    {"ema": 0.9},
    {"ema": 0.9, "early_updates": True},
    {"optimizer": "adamw8bit", "lora_rank": "full"},
)
LINES = random.Random(2409).sample(range(2, STEPS + 1), len(WAYS))
"""Random, and the same in every run of the tests."""


@pytest.mark.parametrize(
    ("line", "how"),
    [
        # Its package is an extra of its own, which every library here would load at its start.
        pytest.param(line, how, marks=[pytest.mark.optional] if "optimizer" in how else [])
        for line, how in zip(LINES, WAYS, strict=True)
    ],
)
def test_killed_at_a_line_it_ends_as_an_unbroken_one(
    settings: Settings, line: int, how: dict[str, Any]
) -> None:
    if how.get("optimizer") == "adamw8bit":
        pytest.importorskip("torchao", reason="no torchao; `pip install 'fbench[8bit]'`")
    killed = settings("killed", steps=STEPS, save_every=SAVES, **how)
    _in_another_process(killed, kill_at_line=line)
    # Weights that moved early end where they would have ended.
    how = {**how, "early_updates": False}
    assert _ends_as_an_unbroken_one(killed, settings("whole", steps=STEPS, save_every=SAVES, **how))


@pytest.mark.parametrize("name", ["step-000006", RESUME])
def test_killed_between_a_file_and_its_place_it_ends_as_an_unbroken_one(
    settings: Settings, name: str
) -> None:
    """The second checkpoint, or the state beside it, is written and not yet where it belongs."""
    killed = settings("killed", steps=STEPS, save_every=SAVES, optimizer="adafactor")
    _in_another_process(killed, kill_at_rename_to=name)
    assert list(killed.out.rglob(".*.part*"))
    assert _ends_as_an_unbroken_one(
        killed, settings("whole", steps=STEPS, save_every=SAVES, optimizer="adafactor")
    )
    assert not list(killed.out.rglob(".*.part*"))


def _ends_as_an_unbroken_one(killed: TrainConfig, whole: TrainConfig) -> bool:
    assert read_manifest(killed.out).status == "started"
    before = (killed.out / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    saved = _step_saved(killed.out)
    train(killed)
    train(whole)
    after = (killed.out / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert read_manifest(killed.out).status == "success"
    assert [json.loads(row)["step"] for row in after] == list(range(STEPS + 1))
    # What was safe was not computed again: those lines are the killed process's, its clock and all.
    assert after[: saved + 1] == before[: saved + 1]
    assert _timeless(killed.out) == _timeless(whole.out)
    for step in range(SAVES, STEPS + 1, SAVES):
        ours, theirs = (_weights(step_folder(config.out, step)) for config in (killed, whole))
        assert ours.read_bytes() == theirs.read_bytes()
    return True


def _weights(folder: Path) -> Path:
    (file,) = folder.rglob("*.safetensors")
    return file


def _step_saved(run: Path) -> int:
    state = run / RESUME
    if not state.is_file():
        return -1
    with suppress(ImportError):
        from torchao.optim import AdamW8bit  # noqa: F401  # its states may be read from now on

    return int(torch.load(state, weights_only=True)["step"])


def _timeless(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in read_metrics(run)]


def _in_another_process(config: TrainConfig, *, kill_at_line: int = 0, kill_at_rename_to: str = "") -> None:
    """Starts the run in a process of its own, which does not survive."""
    process = mp.get_context("fork").Process(
        target=_work, args=(config.model_dump(), kill_at_line, kill_at_rename_to)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _work(values: dict[str, Any], kill_at_line: int, kill_at_rename_to: str) -> None:
    torch.set_num_threads(1)
    seen = lines = 0
    write = MetricsFile.write

    def written(self: MetricsFile, metrics: Mapping[str, Any]) -> None:
        nonlocal lines
        write(self, metrics)
        lines += 1
        if lines == kill_at_line:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(move: Callable[[Path, Any], Path]) -> Callable[[Path, Any], Path]:
        def moved(self: Path, target: Any) -> Path:
            nonlocal seen
            seen += Path(target).name == kill_at_rename_to
            # The first state is let through: there must be something to go on from.
            if seen == (2 if kill_at_rename_to == RESUME else 1):
                os.kill(os.getpid(), signal.SIGKILL)
            return move(self, target)

        return moved

    if kill_at_line:
        setattr(MetricsFile, "write", written)  # noqa: B010  # a method is no attribute to the type checker
    if kill_at_rename_to:
        for name in ("replace", "rename"):
            setattr(Path, name, dying(getattr(Path, name)))
    train(TrainConfig.parse(values))
