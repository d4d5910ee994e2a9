"""Runs on every family of flow models: killed and resumed, with their reference; sampled by diffusers."""

import json
import math
import multiprocessing as mp
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.generate import sample
from benchmark.models import open_checkpoint
from benchmark.models.flow.pipeline import FlowPipeline as Pipeline
from tools.random_flow import diffusers_images
from trainers import loop
from trainers.checkpoints import step_folder
from trainers.config import TrainConfig
from trainers.logs import MetricsFile, read_metrics
from trainers.train import train

Settings = Callable[..., TrainConfig]
CLOCK = ("seconds", "shared_seconds", "samples_per_second", "memory_gb")
PROMPTS, SEEDS = ["a star", "two hearts", ""], [7, 8, 9]
LOG_2 = float(np.float32(math.log(2)))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Case:
    """A run of two steps."""

    objective: str
    rank: int | str
    divergence: str
    precision: str = "fp32"
    lr: float = 1e-3

    def __str__(self) -> str:
        return f"{self.objective}-{self.rank}-{self.precision}"


LORA = Case("f_dpo", 4, "jensen_shannon", lr=3e-2)
FULL = Case("f_dpo", "full", "reverse_kl", lr=3e-2)
CASES = [LORA, FULL, Case("rpo", 4, "reverse_kl", "bf16"), Case("rpo", "full", "alpha(a=0.5)")]


@pytest.fixture(scope="session")
def config_of(
    flow_folder: Path, settings_at: Settings, tiny_clip: Path
) -> Callable[[Case, Path], TrainConfig]:
    def config(case: Case, out: Path) -> TrainConfig:
        more = {"clip": tiny_clip} if case.objective == "rpo" else {}
        return settings_at(
            out, base=str(flow_folder), objective=case.objective, divergence=case.divergence,
            lora_rank=case.rank, precision=case.precision, lr=case.lr, steps=2, save_every=1,
            held_out_draws=2, prompt_dropout=0.3, **more,
        )  # fmt: skip

    return config


@pytest.fixture(scope="session")
def unbroken(
    config_of: Callable[[Case, Path], TrainConfig], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Case], TrainConfig]:
    """Runs a case from beginning to end, once for all tests."""

    @cache
    def run(case: Case) -> TrainConfig:
        config = config_of(case, tmp_path_factory.mktemp("unbroken") / "run")
        train(config)
        return config

    return run


def run_in_two_parts(config: TrainConfig) -> None:
    """Starts a run in a process that is killed after its first step, and ends it here."""
    process = mp.get_context("fork").Process(target=killed_after_a_step, args=(config.model_dump(),))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    train(config)


def killed_after_a_step(values: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    write = MetricsFile.write

    def written(self: MetricsFile, metrics: Mapping[str, Any]) -> None:
        write(self, metrics)
        if metrics["step"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(MetricsFile, "write", written)  # noqa: B010  # a method is no attribute to the type checker
    train(TrainConfig.parse(values))


def files(folder: Path) -> dict[str, bytes]:
    weights = folder.rglob("*.safetensors")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in weights}


def timeless(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in read_metrics(run)]


def frozen(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a network but for adapters, by their names without any."""
    own = ((name, value) for name, value in network.state_dict().items() if "lora_" not in name)
    return {name.replace(".base_layer", ""): value for name, value in own}


def matrices(network: nn.Module) -> dict[str, torch.Tensor]:
    """Those of linear layers and convolutions."""
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    plain = {name.replace(".base_layer", "") for name in layers}
    return {name: value for name, value in frozen(network).items() if name.rpartition(".")[0] in plain}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_killed_and_resumed_it_ends_as_an_unbroken_run(
    flow_base: Pipeline,
    unbroken: Callable[[Case], TrainConfig],
    config_of: Callable[[Case, Path], TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: Case,
) -> None:
    whole, broken, seen = unbroken(case), config_of(case, tmp_path / "broken"), list[nn.Module]()
    train_runs = loop.train_runs

    def watched(runs: Any, shared: Any) -> None:
        train_runs(runs, shared)
        # The reference is still the base model, kept in what it is computed in.
        own, base = frozen(shared.base.network), flow_base.network.state_dict()
        assert own.keys() == base.keys()
        for name, value in own.items():
            assert torch.equal(value, base[name].to(value.dtype)), name
        assert {value.dtype for value in matrices(shared.base.network).values()} == {DTYPES[case.precision]}
        assert {p.dtype for run in runs for p in run.parameters} == {torch.float32}
        seen.append(shared.base.network)

    monkeypatch.setattr(loop, "train_runs", watched)
    run_in_two_parts(broken)
    assert len(seen) == 1
    assert timeless(broken.out) == timeless(whole.out)
    for step in (1, 2):
        ours, theirs = (files(step_folder(config.out, step)) for config in (broken, whole))
        assert ours
        assert ours == theirs
    lines = read_metrics(whole.out)
    # Step 1 is computed at the reference.
    assert lines[1]["loss"] == pytest.approx(LOG_2, abs=1e-6)
    assert lines[2]["loss"] != lines[1]["loss"]
    record = json.loads((step_folder(whole.out, 2) / "checkpoint.json").read_text())
    assert record["hyperparameters"]["t_density"] == str(flow_base.density(None))


@pytest.mark.parametrize("case", [LORA, FULL], ids=str)
def test_a_trained_policy_is_sampled_and_opened_by_plain_diffusers(
    flow_family: str,
    flow_folder: Path,
    flow_base: Pipeline,
    unbroken: Callable[[Case], TrainConfig],
    tmp_path: Path,
    case: Case,
) -> None:
    out = unbroken(case).out
    _, policy = open_checkpoint(str(out), flow_base)
    sampler = replace(flow_base.sampler, steps=3, batch_size=3)
    ours = sample(policy, PROMPTS, SEEDS, sampler).astype(int)
    place = step_folder(out, 2)
    if case is FULL:
        # Plain diffusers puts the saved transformer into the pipeline's folder.
        whole = tmp_path / "whole"
        whole.mkdir()
        for part in flow_folder.iterdir():
            (whole / part.name).symlink_to(part if part.name != "transformer" else place / "transformer")
        theirs = diffusers_images(flow_family, whole, PROMPTS, SEEDS, sampler)
    else:
        theirs = diffusers_images(flow_family, flow_folder, PROMPTS, SEEDS, sampler, place)
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - sample(flow_base, PROMPTS, SEEDS, sampler)).max() > 1
