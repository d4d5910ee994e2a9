"""A sweep on a cluster trains what single runs train, to the bit."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from benchmark.cluster.settings import Cluster
from benchmark.core.errors import UserError
from benchmark.models.files import LORA_FILE
from benchmark.workflows.sweep import Axes, Sweep
from benchmark.workflows.sweep_on_cluster import _lost, _parts, inputs_of, sweep_on_cluster
from trainers.checkpoints import RunFailure
from trainers.config import TrainConfig
from trainers.train import train


def test_members_equal_single_runs_with_a_worker_killed(
    two_machines: Cluster,
    tmp_path: Path,
    tiny_pipeline_folder: Path,
    pairs: Path,
    workers: Callable[[], list[int]],
) -> None:
    settings: dict[str, Any] = {
        "base": str(tiny_pipeline_folder), "data": str(pairs), "beta": 1.0, "log_ratio_scale": 100.0,
        "lora_rank": 4, "steps": 6, "batch_size": 4, "warmup": 0, "save_every": 2, "held_out_pairs": 4,
        "held_out_draws": 2, "precision": "fp32", "device": "cpu",
    }  # fmt: skip
    axes = Axes(divergence=("reverse_kl", "jensen_shannon"), seed=(0, 1))
    what = Sweep({**settings, "cache": str(tmp_path / "cache")}, axes, tmp_path / "sweep")

    def kill() -> None:
        while not list(what.out.glob("*/checkpoints/step-000002")) or not (there := workers()):
            stop.wait(0.02)
        os.kill(there[0], signal.SIGKILL)

    stop = threading.Event()
    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    result = sweep_on_cluster(what, two_machines)
    killing.join(5)
    assert not killing.is_alive()
    assert not result.failed
    assert len(result.finished) == 4
    for run in result.finished:
        values = {"seed": int(run.folder.name[-1]), "divergence": run.folder.name.partition("-")[0]}
        alone = train(TrainConfig.parse({**settings, **values, "cache": str(tmp_path / "other"),
                                         "out": tmp_path / "alone" / run.folder.name}))  # fmt: skip
        theirs = load_file(next(run.folder.glob(f"checkpoints/step-000006/{LORA_FILE}")))
        ours = load_file(next(alone.folder.glob(f"checkpoints/step-000006/{LORA_FILE}")))
        assert theirs.keys() == ours.keys()
        assert all(theirs[name].equal(ours[name]) for name in ours)


def test_what_is_wrong_with_a_run_is_said_before_ray_begins(
    tmp_path: Path, tiny_pipeline_folder: Path
) -> None:
    settings = {"base": str(tiny_pipeline_folder), "data": str(tmp_path / "nothing.parquet")}
    what = Sweep(settings, Axes(seed=(0, 1)), tmp_path / "sweep")
    with pytest.raises(UserError, match="nothing.parquet"):
        sweep_on_cluster(what, Cluster("127.0.0.1:1"))


def test_what_members_learn_from_is_known_by_its_content(
    tmp_path: Path, tiny_pipeline_folder: Path, pairs: Path
) -> None:
    """By this the machines of a cluster are compared before any of them trains."""
    folders = [tmp_path / "base", tmp_path / "pairs.parquet"]
    for folder, source in zip(folders, (tiny_pipeline_folder, pairs), strict=True):
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder)
    settings = {"base": str(folders[0]), "data": str(folders[1]), "steps": 1, "device": "cuda:63"}
    what = Sweep(settings, Axes(divergence=("reverse_kl", "jensen_shannon")), tmp_path / "sweep")
    before = inputs_of(what.members())
    assert set(before) == {f"base {folders[0]}", f"data {folders[1]}"}
    weights = next(folders[0].rglob("unet/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    now = inputs_of(what.members())
    assert {name for name in before if now[name] != before[name]} == {f"base {folders[0]}"}


def test_a_group_that_kills_its_workers_is_tried_member_by_member_and_each_that_is_given_up_failed(
    tmp_path: Path,
) -> None:
    runs = tuple(TrainConfig.parse({"out": tmp_path / name, "data": "x"}) for name in ("a", "b"))
    assert _parts([runs]) == [[(runs[0],)], [(runs[1],)]]
    (failed,) = _lost([(runs[1],)], "given up after 4 tries: the worker died")
    assert isinstance(failed, RunFailure)
    assert (failed.folder, failed.error) == (tmp_path / "b", "given up after 4 tries: the worker died")
