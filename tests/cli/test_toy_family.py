"""The toy family of `tests/toy_family.py` goes the whole way through the public commands."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from trainers import loop
from trainers.logs import read_metrics
from trainers.run import Run

Fbench = Callable[..., Result]
TOY = f"{Path(__file__).resolve().parents[1] / 'toy_family.py'}:toy"


def _words(pairs: Path, cache: Path, *more: object) -> tuple[object, ...]:
    given = {
        "base": TOY, "data": pairs, "steps": 4, "batch-size": 4, "save-every": 2, "precision": "fp32",
        "lr": 1e-2, "device": "cpu",
    }  # fmt: skip
    settings = (
        f"cache={cache}",
        "held_out_pairs=2",
        "held_out_draws=4",
        "max_bad_share=0.5",
        "validation_images=2",
    )
    flags = [word for name, value in given.items() for word in (f"--{name}", value)]
    return ("train", *flags, *(word for one in settings for word in ("--set", one)), *more)


def _losses(run: Path) -> list[object]:
    return [line["loss"] for line in read_metrics(run)[1:]]


@pytest.mark.parametrize(
    ("objective", "rank"), [("f_dpo", 2), ("f_dpo", "full"), ("ipo", 2), ("dspo", 2), ("sft", "full")]
)
def test_it_trains(fbench: Fbench, pairs: Path, tmp_path: Path, objective: str, rank: int | str) -> None:
    stated = () if objective == "sft" else ("--beta", 1, "--log-ratio-scale", 100)
    out = tmp_path / "run"
    words = _words(pairs, tmp_path / "cache", "--objective", objective, "--lora-rank", rank, *stated)
    done = fbench(*words, "--out", out)
    assert done.exit_code == 0, done.output
    lines = read_metrics(out)
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4]
    assert lines[-1]["heldout/loss"] != lines[0]["heldout/loss"]
    name = "toy.safetensors" if rank == "full" else "toy_lora.safetensors"
    assert (out / "checkpoints" / "step-000004" / name).is_file()
    assert (out / "validation" / "step-000004.png").is_file()


def test_it_resumes_and_is_evaluated(
    fbench: Fbench, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = ("--beta", 1, "--log-ratio-scale", 100, "--divergence", "jensen_shannon", "--lora-rank", 2)
    words = _words(pairs, tmp_path / "cache", *stated)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert fbench(*words, "--out", whole).exit_code == 0
    step = loop.train_step

    def pressed(run: Run, *args: Any) -> Any:
        if run.step == 2:
            signal.raise_signal(signal.SIGINT)
        return step(run, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", pressed)
        assert fbench(*words, "--out", broken).exit_code == 130
    assert fbench(*words, "--out", broken).exit_code == 0
    assert _losses(broken) == _losses(whole)
    done = fbench(
        "eval", "--base", TOY, "--checkpoint", "base", "--checkpoint", broken, "--prompts", "shapes-core",
        "--limit", 3, "--images-per-prompt", 2, "--scorers", "entropy", "--primary", "entropy",
        "--precision", "fp32", "--out", tmp_path / "eval", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "eval" / "leaderboard.json").read_text())["rows"]
    assert [row["checkpoint"]["step"] for row in rows] == [0, 4]
    assert len({row["cells"][0]["mean"] for row in rows}) == 2
