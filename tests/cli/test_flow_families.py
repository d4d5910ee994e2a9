"""Every family of flow models goes the whole way through the commands, or is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from benchmark.models import model_facts

Fbench = Callable[..., Result]


def test_it_trains_and_base_and_adapter_are_evaluated(
    fbench: Fbench, pairs: Path, flow_folder: Path, tmp_path: Path
) -> None:
    base, run = flow_folder, tmp_path / "run"
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
    # By the sampler and the guidance of diffusers' pipeline.
    own = model_facts(str(base)).sampler
    assert f"sampler:{own.name}-3|cfg:{own.guidance}|" in json.dumps(board)
    means = [{cell["scorer"]: cell["mean"] for cell in row["cells"]} for row in board["rows"]]
    assert means[0]["path_kl"] == 0
    assert means[1]["path_kl"] > 0


def test_what_cannot_be_is_refused_in_one_line(
    refused: Callable[..., str], world: dict[str, Path], flow_folder: Path, tmp_path: Path
) -> None:
    base, out = flow_folder, tmp_path / "no"
    train = ("train", "--config", world["config"], "--base", base, "--out", out)
    assert "t_density is normal" in refused(*train, "--set", "t_density=normal")
    assert "precision is fp16 on cpu" in refused(*train, "--precision", "fp16")
    asked = ("eval", "--base", base, "--prompts", world["prompts"], "--scorers", f"{world['scorers']}:Light")
    line = refused(*asked, "--out", tmp_path / "one", "--sampler", "ddim")
    assert all(name in line for name in ("sampler", "ddim", "euler"))
    line = refused(*asked, "--out", tmp_path / "two", "--checkpoint", world["base"], "--device", "cpu")
    assert str(world["base"]) in line
