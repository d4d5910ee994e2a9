"""How training is measured: peers that are not there, processes watched from outside, a small sweep."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from tools.bench import __main__ as bench
from tools.bench import material, memory, pacing, peers, sweep, train
from tools.bench.material import Task

NAMES = ("train_lora", "train_full", "memory_lora", "memory_full")
STEPS = "import sys\nfor i in range(1, 6): print(f'{i}/5 [', end='\\r', flush=True)"


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A small run of both sides."""
    return Task(
        full=False, base=tmp_path / "base", data=tmp_path / "pickapic", size=64, batch_size=2, steps=4,
        precision="fp32", rank=4,
    )  # fmt: skip


@pytest.mark.parametrize("where", ["unset", "empty"])
def test_a_peer_that_is_not_at_hand_is_a_line_and_no_number(
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: Task,
) -> None:
    monkeypatch.setenv(peers.FOLDER, "" if where == "unset" else str(tmp_path))
    measures = {
        name: (lambda: train.measure_task(task, tmp_path))
        if name.startswith("train")
        else (lambda: memory.measure_task(task, tmp_path))
        for name in NAMES
    }
    monkeypatch.setattr(bench, "MEASURES", measures)
    assert bench.bench(list(NAMES), tmp_path / "bench.json") == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(NAMES)
    assert all(peers.FOLDER in line or "train_diffusion_dpo.py" in line for line in lines)
    assert not (tmp_path / "bench.json").exists()


def test_both_sides_are_told_the_same(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "diffusers" / peers.DIFFUSERS.script
    script.parent.mkdir(parents=True)
    script.touch()
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "complete").write_text("\n".join(peers.PACKAGES) + "\n")
    monkeypatch.setenv(peers.FOLDER, str(tmp_path))
    theirs = task.peer_command(tmp_path / "out", tmp_path / "datasets")
    assert theirs[:2] == [str(tmp_path / "venv" / "bin" / "python"), str(script)]
    assert {"--max_train_steps=4", "--train_batch_size=2", "--rank=4", "--mixed_precision=no"} <= set(theirs)
    ours = task.our_command(tmp_path / "out", tmp_path / "cache")
    said = dict(zip(ours[4::2], ours[5::2], strict=True))
    assert (said["--steps"], said["--batch-size"], said["--lora-rank"]) == ("4", "2", "4")
    assert (said["--base"], said["--data"]) == (str(task.base), str(task.data))
    assert "--gradient_checkpointing" not in theirs
    saving = replace(task, savings=memory.SAVINGS["_exact"])
    assert saving.peer_command(tmp_path / "out", tmp_path / "datasets") == [
        *theirs,
        "--gradient_checkpointing",
    ]
    more = saving.our_command(tmp_path / "out", tmp_path / "cache")[len(ours) :]
    assert more == ["--set", "gradient_checkpointing=true", "--set", "early_updates=true"]


def test_steps_are_counted_from_a_bar(tmp_path: Path) -> None:
    found = pacing.pace([sys.executable, "-c", STEPS], 5, r"(\d+)/5 \[", tmp_path / "log")
    assert len(found.seconds) == len(found.cpu) == 5
    assert list(found.seconds) == sorted(found.seconds)
    assert found.a_step(1, 4) == pytest.approx((found.seconds[3] - found.seconds[0]) / 3)


@pytest.mark.parametrize(("code", "said"), [("raise SystemExit('no luck')", "no luck"), ("", "no output")])
def test_a_process_that_ends_early_is_an_error_with_its_last_words(
    code: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"0 of 5 steps: {said}"):
        pacing.pace([sys.executable, "-c", code], 5, r"(\d+)/5", tmp_path / "log")


def test_peak_memory_is_the_childs_own(tmp_path: Path) -> None:
    small, large = (
        memory.peak_memory([sys.executable, "-c", f"x = bytearray({n} * 2**20)"], tmp_path / "log", {})
        for n in (1, 300)
    )
    assert 290 < (large - small) / 2**20 < 310
    with pytest.raises(UserError, match="failed with 3"):
        memory.peak_memory([sys.executable, "-c", "exit(3)"], tmp_path / "log", {})


def test_the_release_is_given_a_model_and_pairs_that_it_takes(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    base = material.embedded_model(tmp_path / "base")
    assert '"epsilon"' in (base / "scheduler" / "scheduler_config.json").read_text()
    for folder in (
        material.embedded_pairs(tmp_path / "a" / "pickapic", 3),
        material.random_pairs(tmp_path / "b" / "pickapic", 32, 3),
    ):
        rows = pq.read_table(folder / "train.parquet").to_pylist()
        assert len(rows) == 3
        assert all({row["label_0"], row["label_1"]} == {0, 1} and row["caption"] for row in rows)


def test_a_small_sweep_is_measured_with_its_limit() -> None:
    measured = sweep.measure(full=False, steps=2, batch_size=1, rounds=1, pairs=4)
    assert measured.name == "sweep_lora"
    assert measured.ratio == pytest.approx(measured.peer / measured.ours)
    limit = float(measured.note.rpartition("about ")[2].split()[0])
    assert 1 <= limit <= len(sweep.POLICIES)
