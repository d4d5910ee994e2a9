"""A worker's process without Ray: its surroundings, what it says of errors, and what it waits for."""

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.cluster import units
from benchmark.cluster.actor import Actor, Done, Failed, Refused
from benchmark.cluster.machines import UnlikeMachineError
from benchmark.cluster.needs import Needs
from benchmark.cluster.settings import Cluster, Surroundings
from benchmark.core.errors import ConfigError, DiskFullError, InUseError, UserError
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UserError("weights are missing"), Refused),
        (DiskFullError("the disk is full"), Refused),
        (OSError(errno.ENOSPC, "no space"), Refused),
        # Of one machine, or of a moment: another worker may do better.
        (MemoryError(), Failed),
        (RuntimeError("CUDA out of memory"), Failed),
        (OSError(errno.ESTALE, "stale"), Failed),
        (InUseError("in use"), Failed),
        (UnlikeMachineError("machine b has other packages"), Failed),
        (ValueError("a bug"), Failed),
    ],
)
def test_what_no_other_worker_would_do_better_is_told_apart(
    error: Exception, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def prepare() -> Callable[[object], object]:
        def do(task: object) -> object:
            if task is None:
                raise error
            return task

        return do

    actor = Actor()
    assert isinstance(actor.start(Surroundings(), lambda: "", prepare), Done)
    assert isinstance(actor.do(None), kind)
    assert isinstance(actor.do("well"), Done)


def test_surroundings_are_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files go to scratch, though Python had settled on another place before."""
    monkeypatch.chdir(tmp_path)
    for name in ("FBENCH_CACHE", "TMPDIR", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "before")
    monkeypatch.setattr(tempfile, "tempdir", "/before")
    there = Surroundings.of(Cluster(scratch=tmp_path / "scratch"))
    there.enter()
    assert tempfile.gettempdir() == str(tmp_path / "scratch" / "tmp")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "before"
    Surroundings.of(Cluster(), hide_gpus=True).enter()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_part_of_several_gpus_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--gpus-per-worker is 1\.5; allowed: a part of one GPU"):
        Cluster(gpus=1.5)
    assert (Cluster(gpus=0.5).gpus, Cluster(gpus=2).gpus) == (0.5, 2)


@pytest.mark.parametrize(("gpus", "workers"), [(0.5, 8), (0.6, 4), (1, 4), (2, 2), (3, 1), (0, 16)])
def test_a_machine_takes_as_many_workers_as_its_gpus_have_room_for(gpus: float, workers: int) -> None:
    """What is left of one GPU and of another makes no third."""
    assert Needs(gpus=gpus).room({"Resources": {"CPU": 16.0, "GPU": 4.0}}) == workers


def test_images_of_another_machine_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scored before it is seen, an image would have rows without a value that are kept for good."""
    monkeypatch.setattr(units, "_PATIENCE", 0.3)
    prompts = PromptSet("one", "1", (Prompt("p", "a star"),))
    record = ImageRecord("p", 0, tmp_path / "p_0.png", "abc")
    images = ImageSet("id", Checkpoint("base", "x"), prompts, Sampler(), (0,), (record,))
    with pytest.raises(FileNotFoundError, match="p_0.png was made and is not seen"):
        units.wait_for(images)
    # One that could not be made is not waited for.
    units.wait_for(replace(images, records=(replace(record, status="error"),)))
    record.path.touch()
    units.wait_for(images)
