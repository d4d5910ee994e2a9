"""`fbench pairs --trajectories`: the steps of the images, kept beside the pairs and learned from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import ConfigError, UnreadableFileError
from benchmark.evaluate.config import EvalConfig
from benchmark.workflows.pairs import images as pair_images
from benchmark.workflows.pairs.config import PairsConfig
from benchmark.workflows.pairs.run import make_pairs
from trainers.config import TrainConfig
from trainers.logs import read_metrics
from trainers.train import train
from trainers.trajectories import part_file, trajectories_sha256, write_part

TEXTS = ("a red star", "two hearts, winter", "a tiny blue circle at night", "a green cross")


@pytest.fixture
def config(world: Path, write: Callable[[str, str], Path], tmp_path: Path) -> PairsConfig:
    return PairsConfig.parse(
        {
            "prompts": str(write("prompts.txt", "\n".join(TEXTS))), "images_per_prompt": 2, "steps": 3,
            "scorers": "pickscore", "batch_size": 4, "guidance": 2.0, "precision": "fp32",
            "device": "cpu", "held_out_share": 0.25, "trajectories": True, "out": tmp_path / "out",
        }
    )  # fmt: skip


def test_training_on_the_steps_of_a_checkpoints_own_images(
    config: PairsConfig, world: Path, tmp_path: Path
) -> None:
    assert config.eta == 1
    result = make_pairs(config)
    (parts,) = (config.out / pair_images.WALKS).iterdir()
    walks = np.load(part_file(parts, 0))
    assert walks.shape == (8, 4, 4, 16, 16)
    assert walks.dtype == np.float32
    run = TrainConfig.parse(
        {
            "base": str(world / "shapes-sd"), "data": str(result.folder), "estimator": "transition",
            "divergence": "jensen_shannon", "beta": 1.0, "log_ratio_scale": "auto", "lora_rank": 2,
            "steps": 2, "batch_size": 2, "lr": 1e-3, "precision": "fp32", "device": "cpu",
            "held_out_draws": 2, "cache": tmp_path / "cache", "out": tmp_path / "run",
        }
    )  # fmt: skip
    trained = train(run)
    assert trained.held_out_loss_at_reference == pytest.approx(np.log(2), abs=1e-6)
    lines = read_metrics(run.out)
    assert lines[1]["loss"] == pytest.approx(np.log(2), abs=1e-6)
    assert lines[-1]["winner/s_mean"] != 0


def test_a_broken_off_walk_is_gone_on_from(config: PairsConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def broken(*args: object) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise KeyboardInterrupt
        write_part(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(pair_images, "write_part", broken)
        with pytest.raises(KeyboardInterrupt):
            make_pairs(config)
        assert not (config.out / "pairs").exists()
        assert make_pairs(config).pairs == 3
    again = make_pairs(config)
    assert again.reused


def test_a_damaged_walk_is_drawn_again_and_never_learned_from(config: PairsConfig) -> None:
    result = make_pairs(config)
    (parts,) = (config.out / pair_images.WALKS).iterdir()
    whole = part_file(parts, 0).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:300] + b"\x7f" + whole[301:]):
        part_file(parts, 0).write_bytes(damaged)
        with pytest.raises(UnreadableFileError, match="fbench pairs --trajectories"):
            trajectories_sha256(result.folder)
        assert not make_pairs(config).reused
        assert part_file(parts, 0).read_bytes() == whole


def test_trajectories_are_of_eta_one(config: PairsConfig) -> None:
    with pytest.raises(ConfigError, match=r"eta is 0\.5, and trajectories"):
        PairsConfig.parse({**config.model_dump(), "eta": 0.5})


@pytest.mark.parametrize("kind", [EvalConfig, PairsConfig])
def test_more_noise_than_the_posteriors_is_refused(kind: type[EvalConfig | PairsConfig]) -> None:
    """Above 1 there would be more noise in a step than its end may have."""
    assert kind.parse({"out": "out", "eta": 1.0}).eta == 1
    with pytest.raises(ConfigError, match=r"eta is 1\.5: .*less than or equal to 1"):
        kind.parse({"out": "out", "eta": 1.5})
