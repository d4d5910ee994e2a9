"""The claim study's members and frontiers from training to the kept tables, on the random world."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benchmark.core.errors import NotComparableError
from tools.studies.claim import frontiers, scoring
from tools.studies.claim.design import Design, Member, Sample, Unit, other_unit, sweep_units
from tools.studies.claim.frontiers import make_frontiers, read_frontiers
from tools.studies.claim.members import read_members
from tools.studies.claim.work import Job, left, status, work

BETAS = {"reverse_kl": (0.4, 0.1), "jensen_shannon": (0.8, 0.2)}
SMALL: Mapping[str, Any] = {
    "limit": 2,
    "images_per_prompt": 2,
    "steps": 2,
    "batch_size": 4,
    "precision": "fp32",
    "compile": False,
}


@pytest.fixture
def design(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Design:
    monkeypatch.setattr(scoring, "HALFWAY", 1)
    table = pq.read_table(world.parent / "data" / "shapes-style-winter.parquet")
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    pq.write_table(table[:6], pairs / "train.parquet")
    pq.write_table(table[6:], pairs / "heldout.parquet")
    training: dict[str, Any] = {
        "data": str(pairs), "cache": str(tmp_path / "cache"), "steps": 2, "save_every": 1, "batch_size": 2,
        "warmup": 0, "lora_rank": 2, "held_out_pairs": 2, "held_out_draws": 1, "precision": "fp32",
    }  # fmt: skip
    sample = Sample(
        "shapes-core", 2, 2, ("true_reward", "true_diversity", "pickscore"), halfway=1, paths=(1, 2)
    )
    first, second = sweep_units(BETAS, (0,), halfway=True)
    units = (Unit("base", (Member(),)), first, second, other_unit(BETAS, 0))
    return Design(
        sample,
        units,
        tmp_path / "runs",
        tmp_path / "results" / "members",
        training=training,
        evaluation=SMALL,
    )


def test_members_are_made_once_and_stop_in_time(design: Design) -> None:
    work(Job(design, "the command", deadline=time.time() - 1))
    assert len(left(design)) == 9
    work(Job(design, "the command"))
    assert left(design) == []
    assert status(design, 1).startswith("9 of 9 members, seeds complete: 0; about 0:00:00 left")
    table = read_members(design)
    steps = {(c.objective, c.hyperparameters.get("beta"), c.step) for c in table.checkpoints}
    # Of the strongest beta of each divergence the half-way checkpoint too.
    assert steps == {
        (None, None, 0), ("f_dpo", 0.4, 2), ("f_dpo", 0.1, 1), ("f_dpo", 0.1, 2), ("f_dpo", 0.8, 2),
        ("f_dpo", 0.2, 1), ("f_dpo", 0.2, 2), ("rpo", 0.4, 2), ("rpo", 0.8, 2), ("sft", None, 2),
        ("kto", 0.4, 2),
    }  # fmt: skip
    far = table.rows[table.rows["scorer"] == "path_kl"].set_index("checkpoint")["value"]
    assert far["base"] == 0
    assert (far.drop("base") > 0).all()
    assert set(table.rows["prompt_id"]) == {"shapes-core-000", "shapes-core-001"}
    assert table.rows["seed"].isna().all()
    written = {file: file.stat().st_mtime_ns for file in design.results.rglob("*") if file.is_file()}
    assert len(written) == 2 * 9
    work(Job(design, "the command"))
    assert {file: file.stat().st_mtime_ns for file in design.results.rglob("*") if file.is_file()} == written
    with pytest.raises(NotComparableError, match=r"training\.steps is 2 there and 3 here"):
        left(replace(design, training={**design.training, "steps": 3}))


def test_frontiers_are_kept_beside_the_members(design: Design, monkeypatch: pytest.MonkeyPatch) -> None:
    scorers = design.sample.scorers
    small: Mapping[str, Mapping[str, Any]] = {
        "guidance": {"scales": (3,), "best_of": (), "scorers": scorers},
        "closed-form": {
            "closed_form": True, "by": "true_reward", "pool": 4, "divergence": ("reverse_kl",),
            "scorers": scorers[:2],
        },
        "best-of": {"scales": (), "best_of": (2,), "by": "pickscore", "scorers": scorers},
    }  # fmt: skip
    monkeypatch.setattr(frontiers, "FRONTIERS", small)
    assert read_frontiers(design) == {}
    make_frontiers(design, "the command", workers=1)
    found = read_frontiers(design)
    assert [c.id for c in found["guidance"].checkpoints][-1] == "base@cfg-3"
    assert [c.id for c in found["best-of"].checkpoints] == ["base", "base@best-of-2-pickscore"]
    assert found["closed-form"].checkpoints[1].hyperparameters["optimum_under"] == "reverse_kl"
    assert all(table.rows["seed"].isna().all() for table in found.values())
