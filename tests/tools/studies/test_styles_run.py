"""The style study from training to the committed files, on the random world."""

import json
from pathlib import Path

import pytest

from tools.studies.styles import runs
from tools.studies.styles.__main__ import run_study
from tools.studies.styles.findings import METHODS
from tools.studies.styles.runs import Study


@pytest.mark.usefixtures("world")
def test_a_study_writes_its_files_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Here and not in processes of their own, where the world would be the committed one.
    monkeypatch.setattr(runs, "run_workers", lambda task, jobs: [task(job) for job in jobs])
    study = Study(
        (0, 1),
        tmp_path / "runs",
        styles=("winter",),
        steps=(1,),
        settings={
            "cache": str(tmp_path / "cache"), "batch_size": 2, "warmup": 0, "lora_rank": 2,
            "held_out_pairs": 0, "precision": "fp32",
        },
        evaluation={
            "limit": 2, "images_per_prompt": 2, "steps": 1, "batch_size": 4, "precision": "fp32",
            "scorers": ("true_style", "oracle", "scene_rate", "true_diversity"),
        },
    )  # fmt: skip
    results = tmp_path / "results"
    found = run_study(study, results, "the command")
    assert {(p.method, p.step) for p in found.points} == {
        ("", 0), *((method, 1) for method in METHODS.values()),
    }  # fmt: skip
    written = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert written == {
        "README.md", "findings.json", "style-against-content.png", "winter/scores.parquet",
        "winter/sheet.png",
    }  # fmt: skip
    assert "the command" in (results / "README.md").read_text()
    before = (results / "findings.json").read_text()
    assert json.loads(before)["seeds"] == [0, 1]
    weights = sorted(study.out.rglob("*.safetensors"))
    assert len(weights) == len(METHODS) * len(study.seeds)
    times = [path.stat().st_mtime_ns for path in weights]
    run_study(study, results, "the command")
    assert (results / "findings.json").read_text() == before
    assert [path.stat().st_mtime_ns for path in weights] == times
