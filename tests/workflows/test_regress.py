"""The regression test of a divergence: from training to the verdict, on the random world."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmark.core.errors import ConfigError, NotComparableError, UnknownNameError, UserError
from benchmark.core.resources import baselines_folder
from benchmark.gate.differences import BASELINE_RUNS
from benchmark.leaderboard import read_score_table, write_score_table
from benchmark.workflows import workers
from benchmark.workflows.regress import baselines as budget
from benchmark.workflows.regress.baselines import find_baseline, make_baselines, trained
from benchmark.workflows.regress.study import Regress, check, regress
from trainers.train import train_many

CHECKOUT = Path(__file__).resolve().parents[2]
COMMITTED = ("reverse_kl", "jensen_shannon")
FLIPPED = """
import torch
from trainers.divergences import Divergence

class Flipped(Divergence):
    name, symmetric, f_prime_at_0, reference = "flipped", False, -float("inf"), "nobody"
    def f(self, u): return u * torch.log(u)
    def exact_h(self, s): return -s
    def exact_slope(self, s): return -torch.ones_like(s)
"""


@pytest.fixture
def small(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The gate's budget made tiny, on the random world; returns a folder to work in."""
    monkeypatch.setattr(workers, "run_workers", lambda task, jobs: [task(job) for job in jobs])
    pairs = pq.read_table(world.parent / "data" / "shapes-style-winter.parquet")
    data = tmp_path / "pairs"
    data.mkdir()
    pq.write_table(pairs[:6], data / "train.parquet")
    pq.write_table(pairs[6:], data / "heldout.parquet")
    training = {
        "data": str(data), "cache": tmp_path / "cache", "steps": 2, "batch_size": 2, "warmup": 0,
        "lora_rank": 2, "held_out_pairs": 2, "held_out_draws": 2, "precision": "fp32", "save_every": 2,
    }  # fmt: skip
    evaluation = {"limit": 2, "images_per_prompt": 2, "steps": 1, "batch_size": 4, "precision": "fp32"}
    monkeypatch.setattr(budget, "TRAINING", {**budget.TRAINING, **training})
    monkeypatch.setattr(budget, "EVALUATION", {**budget.EVALUATION, **evaluation})
    return tmp_path


def test_a_candidate_is_trained_and_held_against_a_baseline_made_by_the_command(small: Path) -> None:
    names = ["reverse_kl", "alpha(a=0.5)"]
    folders = make_baselines(names, small / "runs", small / "results")
    assert [folder.name for folder in folders] == names
    for folder, name in zip(folders, names, strict=True):
        runs = trained(read_score_table(folder))
        assert [run.hyperparameters["seed"] for run in runs] == list(budget.BASELINE_SEEDS)
        assert {str(run.divergence).partition("(")[0] for run in runs} == {name.partition("(")[0]}
        assert len((folder / "README.md").read_text().splitlines()) > BASELINE_RUNS

    # The random world's readers see nothing, so that scores have no spread to make a margin of.
    margins = dict.fromkeys(budget.SCORERS, 1.0)
    what = Regress(
        "jensen_shannon", small / "candidate", baseline=str(folders[0]), seeds=(0, 1, 2), margins=margins
    )
    result = regress(what)
    assert [finding.scorer for finding in result.verdict.findings] == list(budget.SCORERS)
    assert (result.baseline, result.baseline_runs) == ("reverse_kl", 8)
    assert (result.candidate, result.candidate_runs) == ("jensen_shannon", 3)
    board = json.loads((what.out / "leaderboard.json").read_text())
    assert len(board["rows"]) == 1 + 8 + 3
    methods = json.loads((what.out / "methods" / "leaderboard.json").read_text())
    assert [row["checkpoint"]["hyperparameters"].get("seeds") for row in methods["rows"][1:]] == [
        "0 1 2 3 4 5 6 7", "0 1 2",
    ]  # fmt: skip
    assert "<script" in (what.out / "report.html").read_text()
    times = [p.stat().st_mtime_ns for p in sorted(what.out.rglob("*.safetensors"))]
    assert repr(regress(what)) == repr(result)  # NaN is no equal of itself
    assert [p.stat().st_mtime_ns for p in sorted(what.out.rglob("*.safetensors"))] == times

    table = read_score_table(folders[0])
    other = replace(table, signature=table.signature.replace("2x2", "96x4"))
    write_score_table(other, small / "other" / "scores.parquet")
    with pytest.raises(NotComparableError, match=r"96x4"):
        check(replace(what, baseline=str(small / "other")))
    longer = replace(what, out=small / "longer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(budget.TRAINING, "steps", 4)
        with pytest.raises(NotComparableError, match="trained with steps 2, the candidate with 4"):
            check(longer)
    assert not longer.out.exists()


def test_a_divergence_that_breaks_the_laws_is_trained_only_unchecked(small: Path) -> None:
    (small / "mine.py").write_text(FLIPPED)
    what = Regress(f"{small / 'mine.py'}:Flipped", small / "flipped", unchecked=True)
    with pytest.raises(UserError, match="breaks"):
        check(replace(what, unchecked=False))
    (trained_once,) = train_many(what.runs()[:1])
    assert trained_once.checkpoint.hyperparameters["unchecked"] is True
    # Slope matching keeps the sign: it must not turn a flipped divergence round.
    assert trained_once.checkpoint.hyperparameters["effective_beta"] == 0.3


def test_what_is_wrong_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    what = Regress("reverse_kl", tmp_path / "out")
    for wrong, error, words in (
        (replace(what, seeds=(0, 1)), ConfigError, "at least 3 different ones"),
        (replace(what, seeds=(0, 1, 1)), ConfigError, "at least 3 different ones"),
        (replace(what, divergence="expr: -u*log(u)"), UserError, "Convex"),
        (replace(what, divergence="reverse_kk"), UnknownNameError, "reverse_kl"),
        (replace(what, baseline="reverse_kk"), UnknownNameError, "reverse_kl"),
    ):
        with pytest.raises(error, match=words):
            check(wrong)
    assert not what.out.exists()


@pytest.mark.parametrize("name", COMMITTED)
def test_the_committed_baselines_fit_this_fbench(name: str, tmp_path: Path) -> None:
    table = read_score_table(find_baseline(name))
    runs = trained(table)
    assert len({run.hyperparameters["seed"] for run in runs}) == len(runs) >= BASELINE_RUNS
    assert {run.divergence for run in runs} == {name}
    assert [c.is_base for c in table.checkpoints].count(True) == 1
    # A prompt that leaves nothing open has no diversity and no taste; everything else has a number.
    elsewhere = table.rows[~table.rows["scorer"].isin(["true_diversity", "true_taste"])]
    assert (elsewhere["status"] == "ok").all()
    plan = check(Regress("jeffreys", tmp_path / "out", baseline=name))
    assert any(name in line for line in plan)
    with pytest.raises(UserError, match="oracel"):
        check(Regress("jeffreys", tmp_path / "out", baseline=name, scorers=("oracel",)))
    with pytest.raises(UserError, match="margin"):
        check(Regress("jeffreys", tmp_path / "out", baseline=name, margins={"oracle": -1.0}))


def test_baselines_are_small_and_hold_no_place_of_the_machine_that_made_them() -> None:
    files = [path for path in baselines_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
    for path in files:
        content = path.read_bytes()
        assert not [place for place in (Path.home(), CHECKOUT) if bytes(place) in content]
