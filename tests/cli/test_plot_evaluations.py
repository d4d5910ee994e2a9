"""`fbench plot trade-off`, `iso-reward` and `win-rates` on a simulated evaluation."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from benchmark.core.records import Checkpoint
from benchmark.leaderboard import write_score_table
from tools.simulated_tables import simulated_table

Fbench = Callable[..., Result]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods at two betas each."""
    folder = tmp_path_factory.mktemp("evaluation")
    runs = (
        Checkpoint(f"{d}-{b}", "shapes", "f_dpo", d, {"beta": b, "seed": 0}, 100)
        for d in ("reverse_kl", "jensen_shannon")
        for b in (1.0, 0.1)
    )
    checkpoints = (Checkpoint("base", "shapes"), *runs)
    write_score_table(
        simulated_table(checkpoints=checkpoints, n_prompts=20, images_per_prompt=2), folder / "scores.parquet"
    )
    return folder


def test_the_numbers_are_on_the_terminal_and_in_json(fbench: Fbench, evaluation: Path) -> None:
    told = fbench("plot", "iso-reward", evaluation).stdout
    assert "wrote" in told
    assert "95 % interval" in told
    found = json.loads(fbench("plot", "iso-reward", evaluation, "--along", "beta", "--json").stdout)
    assert Path(found["path"]).name == "iso-reward.png"
    assert [curve["method"] for curve in found["equal_level"]["curves"]] == [
        "f_dpo reverse_kl",
        "f_dpo jensen_shannon",
    ]
    told = fbench("plot", "win-rates", evaluation, "--scorers", "hps, pickscore").stdout
    assert told.splitlines()[0].split()[:2] == ["scorer", "checkpoint"]
    found = json.loads(fbench("plot", "win-rates", evaluation, "--scorers", "hps", "--json").stdout)
    assert found["win_rates"][0]["checkpoint"] == "reverse_kl-1.0"
    found = json.loads(fbench("plot", "trade-off", evaluation, "--preference", "clip", "--json").stdout)
    assert (found["plane"]["across"], found["plane"]["upward"]) == ("true_diversity", "clip")
    assert all(0 <= point["support"] <= 1 for point in found["plane"]["points"])


def test_what_cannot_be_drawn_is_one_line(refused: Callable[..., str], evaluation: Path) -> None:
    assert "more than one step" in refused("plot", "iso-reward", evaluation, "--along", "step")
    assert "did you mean beta" in refused("plot", "iso-reward", evaluation, "--along", "betta")
    assert "unknown scorer" in refused("plot", "iso-reward", evaluation, "--level", "fid")
    assert "unknown scorer" in refused("plot", "win-rates", evaluation, "--scorers", "nothing")
    assert "unknown reference" in refused("plot", "win-rates", evaluation, "--reference", "nobody")
    assert "is no frontier" in refused("plot", "trade-off", evaluation, "--frontier", evaluation)
