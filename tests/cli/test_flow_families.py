"""Every family of flow models goes the whole way through the public commands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tools.random_flow import FAMILIES

Fbench = Callable[..., Result]


@pytest.mark.parametrize("family", FAMILIES)
def test_it_trains_and_base_and_adapter_are_evaluated(
    fbench: Fbench, pairs: Path, published_folder: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    base, run = published_folder(family), tmp_path / "run"
    done = fbench(
        "train", "--base", base, "--data", pairs, "--objective", "f_dpo", "--divergence", "jensen_shannon",
        "--beta", 1, "--log-ratio-scale", 100, "--lora-rank", 2, "--steps", 2, "--batch-size", 4,
        "--lr", 1e-2, "--precision", "fp32", "--device", "cpu", "--set", f"cache={tmp_path / 'cache'}",
        "--set", "held_out_pairs=2", "--set", "held_out_draws=2", "--set", "max_bad_share=0.5",
        "--set", "t_density=uniform(shift=2)", "--out", run,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = fbench(
        "eval", "--base", base, "--checkpoint", "base", "--checkpoint", run, "--prompts", "shapes-core",
        "--limit", 2, "--images-per-prompt", 2, "--scorers", "entropy", "--primary", "entropy", "--distance",
        "--steps", 3, "--batch-size", 4, "--precision", "fp32", "--out", tmp_path / "eval", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    board = json.loads((tmp_path / "eval" / "leaderboard.json").read_text())
    assert "sampler:euler-3|" in json.dumps(board)
    means = [{cell["scorer"]: cell["mean"] for cell in row["cells"]} for row in board["rows"]]
    assert means[0]["path_kl"] == 0
    assert means[1]["path_kl"] > 0
