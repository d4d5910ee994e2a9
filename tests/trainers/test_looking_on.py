"""What a run shows while it goes on: trackers and validation images; neither changes it."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmark.core.errors import UserError
from benchmark.models.files import LORA_FILE
from trainers import tracking
from trainers.checkpoints import step_folder
from trainers.config import TrainConfig
from trainers.logs import read_metrics
from trainers.train import train
from trainers.validation import write_strip

Settings = Callable[..., TrainConfig]


def test_tensorboard_sees_what_metrics_hold(settings: Settings) -> None:
    plain, shown = settings("plain"), settings("shown", tracker="tensorboard", validation_images=3)
    train(plain)
    train(shown)
    files = [(step_folder(config.out, 4) / LORA_FILE).read_bytes() for config in (plain, shown)]
    assert files[0] == files[1]  # looking on changes nothing
    events = EventAccumulator(str(shown.out / tracking.FOLDER / "shown")).Reload()
    lines = read_metrics(shown.out)
    for key in ("loss", "winner/s_mean", "lr"):
        logged = [(event.step, event.value) for event in events.Scalars(key)]
        wanted = [(line["step"], line[key]) for line in lines if key in line]
        assert [step for step, _ in logged] == [step for step, _ in wanted]
        values = [float(v) for _, v in wanted if v is not None]
        np.testing.assert_allclose([v for _, v in logged], values, rtol=1e-6)
    assert [event.step for event in events.Images("validation")] == [2, 4]


def test_validation_images_are_of_the_same_captions_and_noise(settings: Settings) -> None:
    config = settings(validation_images=3, lr=1e-1)
    train(config)
    strips = [config.out / "validation" / f"step-{step:06d}.png" for step in (2, 4)]
    sizes = {Image.open(strip).size for strip in strips}
    assert sizes == {(3 * 64, 64)}
    again = config.model_copy(update={"out": config.out.with_name("again"), "validation_images": 5})
    train(again)
    first, more = (
        np.asarray(Image.open(run.out / "validation" / "step-000004.png")) for run in (config, again)
    )
    # Five images in batches of five: the first three are the same up to a rounding.
    assert np.abs(first.astype(int) - more[:, : 3 * 64].astype(int)).max() <= 2


def test_a_strip_has_rows_of_eight(tmp_path: Path) -> None:
    images = np.stack([np.full((4, 4, 3), 10 * i, np.uint8) for i in range(10)])
    strip = np.asarray(Image.open(write_strip(images, tmp_path, 7)))
    assert strip.shape == (8, 32, 3)
    assert strip[0, 0, 0] == 0
    assert strip[4, 4, 0] == 90
    assert strip[4, 8, 0] == 255  # nothing there
    assert [path.name for path in (tmp_path / "validation").iterdir()] == ["step-000007.png"]


@pytest.mark.optional  # its package is an extra of its own, and large
def test_wandb_has_a_run_of_the_runs_name(settings: Settings) -> None:
    """In a process of its own: its threads outlive a run, and other tests fork."""
    pytest.importorskip("wandb")
    config = settings(tracker="wandb", steps=2)
    code = "import sys; from trainers.config import TrainConfig as T; from trainers.train import train; "
    done = subprocess.run(
        [sys.executable, "-c", code + "train(T.model_validate_json(sys.argv[1]))", config.model_dump_json()],
        env={**os.environ, "WANDB_MODE": "offline"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (run,) = (config.out / tracking.FOLDER / "wandb").glob("offline-run-*")
    assert run.name.endswith(tracking.run_id(config.out))
    assert list(run.glob("*.wandb"))


def test_a_tracker_that_is_not_installed_is_told_before_anything(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tracker is wandb.*pip install 'fbench\[track\]'"):
        tracking.refuse_tracker("wandb")
    tracking.refuse_tracker(None)
