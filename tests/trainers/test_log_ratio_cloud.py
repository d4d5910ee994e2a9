"""The cloud of held-out log-ratios that a run keeps: what it holds, when it is written, what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from trainers.config import TrainConfig
from trainers.log_ratio_cloud import FOLDER, read_log_ratios, save_log_ratios
from trainers.logs import read_metrics
from trainers.train import train

Settings = Callable[..., TrainConfig]


def some(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, 5, generator=g), torch.randn(2, 5, generator=g), torch.arange(10).view(2, 5)


def test_what_is_written_is_read_and_equal_clouds_are_equal_bytes(tmp_path: Path) -> None:
    s_w, s_l, t = some()
    for run in ("a", "b"):
        save_log_ratios(tmp_path / run, 20, s_w, s_l, t)
        save_log_ratios(tmp_path / run, 100, s_l, s_w, t)
    last, first = read_log_ratios(tmp_path / "a"), read_log_ratios(tmp_path / "a", 20)
    assert (last.step, first.step) == (100, 20)
    assert np.array_equal(first.s_w, s_w.numpy())
    assert np.array_equal(first.s_l, s_l.numpy())
    assert np.array_equal(first.t, t.numpy())
    assert np.array_equal(last.s_w, s_l.numpy())
    files = sorted((tmp_path / "a" / FOLDER).iterdir())
    assert [file.name for file in files] == ["step-000020.npz", "step-000100.npz"]
    assert [f.read_bytes() for f in files] == [(tmp_path / "b" / FOLDER / f.name).read_bytes() for f in files]


def test_nothing_is_written_at_the_reference_or_without_log_ratios(tmp_path: Path) -> None:
    s_w, s_l, t = some()
    save_log_ratios(tmp_path, 0, s_w, s_l, t)
    save_log_ratios(tmp_path, 5, s_w, None, t)
    save_log_ratios(tmp_path, 5, None, None, t)
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_or_broken_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no log-ratios of held-out pairs at .*held-out pairs"):
        read_log_ratios(tmp_path)
    save_log_ratios(tmp_path, 20, *some())
    with pytest.raises(UserError, match="no log-ratios of step 30; allowed: 20"):
        read_log_ratios(tmp_path, 30)
    file = tmp_path / FOLDER / "step-000020.npz"
    whole = file.read_bytes()
    for broken in (b"", b"no file of arrays", whole[: len(whole) // 2]):
        file.write_bytes(broken)
        with pytest.raises(UnreadableFileError, match="log-ratios"):
            read_log_ratios(tmp_path)
    for arrays in ({"s_w": np.zeros(3)}, {"s_w": np.zeros(3), "s_l": np.zeros(2), "t": np.zeros(3)}):
        np.savez(file, **arrays)  # type: ignore[arg-type]
        with pytest.raises(UnreadableFileError, match="log-ratios"):
            read_log_ratios(tmp_path)
    np.savez(file, s_w=np.array([{}]), s_l=np.zeros(1), t=np.zeros(1))  # a pickle inside
    with pytest.raises(UnreadableFileError, match="log-ratios"):
        read_log_ratios(tmp_path)


def test_a_run_keeps_the_cloud_behind_its_held_out_metrics(settings: Settings) -> None:
    config = settings()
    train(config)
    lines = {line["step"]: line for line in read_metrics(config.out)}
    for step in (2, 4):
        cloud = read_log_ratios(config.out, step)
        assert cloud.s_w.shape == (config.held_out_draws, 6)
        assert cloud.s_w.dtype == np.float32
        for side, s in (("winner", cloud.s_w), ("loser", cloud.s_l)):
            assert lines[step][f"heldout/{side}/s_mean"] == pytest.approx(s.mean(), rel=1e-4, abs=1e-6)
            assert s.std() > 0
    assert len(list((config.out / FOLDER).iterdir())) == 2


def test_a_run_begun_again_keeps_the_same_clouds(settings: Settings) -> None:
    whole, again = settings("whole"), settings("again")
    train(whole)
    train(again)
    for file in (whole.out / FOLDER).iterdir():
        assert (again.out / FOLDER / file.name).read_bytes() == file.read_bytes()


def test_a_run_without_a_reference_keeps_none(settings: Settings) -> None:
    config = settings("sft", objective="sft", steps=2)
    train(config)
    with pytest.raises(MissingFileError):
        read_log_ratios(config.out)
