"""A run goes to the Hub by the Hub's own protocol, with a card that says what it is and what it scores."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from typer.testing import Result

from benchmark.core.manifest import read_manifest
from benchmark.leaderboard import read_score_table

Fbench = Callable[..., Result]
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def made(fbench: Fbench, world: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run, an evaluation of it, and one of the base model alone."""
    folder = tmp_path_factory.mktemp("push")
    found = {name: folder / name for name in ("my run", "eval", "base")}
    done = fbench("train", "--config", world["config"], "--out", found["my run"])
    assert done.exit_code == 0, done.stderr
    for out, checkpoints in (("eval", ["base", found["my run"]]), ("base", ["base"])):
        done = fbench(
            "eval", "--base", world["base"], "--prompts", world["prompts"], "--images-per-prompt", 2,
            "--scorers", f"{world['scorers']}:Light,{world['scorers']}:Spread", "--steps", 2, "--guidance", 2,
            *(word for one in checkpoints for word in ("--checkpoint", one)), "--out", found[out],
        )  # fmt: skip
        assert done.exit_code == 0, done.stderr
    return found


@pytest.fixture
def hub(hub_stand_in: Any) -> Iterator[Any]:
    with hub_stand_in.running() as hub:
        yield hub


def push(hub: Any, *words: object, token: str = "hf_stand_in") -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, which knows no other Hub."""
    own = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HOME": os.devnull}
    known = {**os.environ, **own, "HF_TOKEN": token}
    typed = [sys.executable, "-m", "fbench", "push", *map(str, words)]
    return subprocess.run(typed, env=known, capture_output=True, text=True, check=False)


def test_a_run_is_uploaded_with_its_card(hub: Any, made: dict[str, Path]) -> None:
    run, board = made["my run"], read_score_table(made["eval"])
    done = push(hub, run, "--repo", "js-tiny", "--scores", made["eval"], "--private")
    assert done.returncode == 0, done.stderr
    assert "next: fbench eval --checkpoint base --checkpoint somebody/js-tiny" in done.stdout
    files = hub.repos["somebody/js-tiny"]
    last = max((run / "checkpoints").iterdir())
    assert {name: data for name, data in files.items() if name != "README.md"} == {
        path.name: path.read_bytes() for path in last.iterdir()
    }
    assert hub.private == {"somebody/js-tiny"}
    card = ModelCard(files["README.md"].decode())
    trained = board.checkpoints[1]
    assert hub.commits == [f"fbench: {trained.id}"]
    facts: Any = card.data
    assert facts.library_name == "diffusers"
    assert facts.pipeline_tag == "text-to-image"
    assert {"fbench", "f_dpo", "reverse_kl", "lora"} <= set(facts.tags)
    rows = board.rows[board.rows["checkpoint"] == trained.id]
    stated = {result.metric_type: result.metric_value for result in facts.eval_results or []}
    assert stated == {
        name: pytest.approx(rows[rows["scorer"] == name]["value"].mean(), abs=1e-5)
        for name in ("light", "spread")
    }
    for fact in (trained.id, board.signature, "`f_dpo`", "`reverse_kl`", '"beta": 1.0'):
        assert fact in card.text
    # What its inputs were, and nothing of where they lie on this machine.
    (data,) = [item for item in read_manifest(run).inputs if item.role == "data"]
    assert f"| data | `pairs.parquet` | `{data.sha256[:16]}` |" in card.text
    assert str(run.parent) not in card.content
    assert str(Path(data.path).parent) not in card.content


def test_the_same_command_again_makes_another_commit(hub: Any, made: dict[str, Path]) -> None:
    first = min((made["my run"] / "checkpoints").iterdir())
    step = int(first.name.removeprefix("step-"))
    for _ in range(2):
        done = push(hub, made["my run"], "--repo", "somebody/tiny", "--step", step, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
    assert told["repo"] == "somebody/tiny"
    assert set(told["files"]) == set(hub.repos["somebody/tiny"])
    assert len(hub.commits) == 2


@pytest.mark.parametrize(
    ("repo", "token", "said"),
    [
        ("somebody/x", "hf_wrong", "the Hub refuses to take somebody/x (401: "),
        ("nobody/x", "hf_stand_in", "the Hub refuses to take nobody/x (403: "),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: Any, made: dict[str, Path], repo: str, token: str, said: str
) -> None:
    done = push(hub, made["my run"], "--repo", repo, token=token)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"error: {said}")
    assert "`hf auth login`" in line
    assert not hub.commits


def test_nothing_is_asked_in_vain(refused: Refused, fbench: Fbench, made: dict[str, Path]) -> None:
    run = made["my run"]
    card = fbench("push", run, "--repo", "a/b", "--dry-run")
    assert card.exit_code == 0, card.stderr
    assert "would be uploaded to a/b: README.md, " in card.stdout
    assert "has no checkpoint of step 3; allowed: 2, 4" in refused("push", run, "--step", 3)
    line = refused("push", run, "--scores", made["base"], "--dry-run")
    assert f"{made['base']} has no scores of " in line
    assert "holds a run of `eval`" in refused("push", made["eval"])
    assert "no run of `fbench train` at nowhere" in refused("push", "nowhere")
    assert "--offline forbids to push" in refused("push", run, "--repo", "a/b", "--offline")


def test_a_damaged_checkpoint_stays_here(refused: Refused, made: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    run = Path(shutil.copytree(made["my run"], tmp_path / "run"))
    (weights,) = max((run / "checkpoints").iterdir()).glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert "its bytes are others now" in refused("push", run, "--dry-run")
