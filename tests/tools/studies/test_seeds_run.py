"""The committed evaluation and the choice of settings from training to files, on the random world."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benchmark.workflows import workers
from tools.studies.seeds.choose import SCORERS, choose
from tools.studies.seeds.runs import Study, run_study

PRESET = "shapes-f-dpo-reverse-kl"


@pytest.fixture
def study(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    # Here and not in processes of their own, where the world would be the committed one.
    monkeypatch.setattr(workers, "run_workers", lambda task, jobs: [task(job) for job in jobs])
    data = _pairs(world.parent / "data" / "shapes-style-winter.parquet", tmp_path / "pairs")
    training: dict[str, Any] = {
        "data": str(data), "cache": str(tmp_path / "cache"),
        "steps": 2, "batch_size": 2, "warmup": 0, "lora_rank": 2, "held_out_pairs": 2, "held_out_draws": 2,
        "precision": "fp32",
    }  # fmt: skip
    evaluation = {"limit": 2, "images_per_prompt": 2, "steps": 1, "batch_size": 4, "precision": "fp32"}
    return Study((PRESET,), (0, 1), tmp_path / "runs", settings=training, evaluation=evaluation)


def _pairs(style: Path, folder: Path) -> Path:
    """The world's eight style pairs as preference data, two of them held out."""
    table = pq.read_table(style)
    folder.mkdir()
    pq.write_table(table[:6], folder / "train.parquet")
    pq.write_table(table[6:], folder / "heldout.parquet")
    return folder


def test_a_study_writes_what_is_committed_and_resumes(study: Study, tmp_path: Path) -> None:
    study = replace(study, evaluation={**study.evaluation, "scorers": SCORERS}, betas=(0.3, 0.1))
    results = tmp_path / "results"
    verdicts = run_study(study, results)
    assert [verdict.beta for verdict in verdicts] == [0.3, 0.1]
    for verdict in verdicts:
        assert [seed.seed for seed in verdict.seeds] == [0, 1]
        assert all(f"beta{verdict.beta:g}-" in seed.checkpoint for seed in verdict.seeds)
        assert all(seed.held_out_loss is not None for seed in verdict.seeds)
    written = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert written >= {
        "leaderboard.csv", "leaderboard.tex", "leaderboard.md", "leaderboard.json", "scores.parquet",
        "manifest.json", "verdict.md", "verdict.json", "figures/sheet.png",
    }  # fmt: skip
    assert not [name for name in written if name.startswith("images")]
    before = (results / "verdict.json").read_text()
    times = [p.stat().st_mtime_ns for p in sorted(study.out.rglob("*.safetensors"))]
    run_study(study, results)
    assert (results / "verdict.json").read_text() == before
    assert [p.stat().st_mtime_ns for p in sorted(study.out.rglob("*.safetensors"))] == times
    assert json.loads(before)[0]["preset"] == PRESET


def test_a_grid_is_chosen_from_with_its_intermediate_steps(study: Study) -> None:
    choice = choose(study, [0.5, 2.0], [1e-3], [1, 2])
    assert sorted((c.beta, c.step) for c in choice.candidates) == [(0.5, 1), (0.5, 2), (2.0, 1), (2.0, 2)]
    assert "shapes-validation" in choice.verdict.suite
    ids = {(c.beta, c.step): c.found.checkpoint for c in choice.candidates}
    assert all(f"beta{beta:g}-seed0-step{step}" in id_ for (beta, step), id_ in ids.items())
