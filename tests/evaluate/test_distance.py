"""``fbench eval --distance``: the path KL stands in the table beside what it paid for."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from benchmark.core.errors import UserError
from benchmark.core.records import ImageSet
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.plan import plan
from benchmark.evaluate.run import evaluate
from benchmark.generate import path_kl
from benchmark.leaderboard import read_score_table
from benchmark.scorers import make_scorers


@pytest.fixture
def settings(world: Path, tmp_path: Path) -> Callable[..., EvalConfig]:
    """Base and a checkpoint whose UNet differs from the base's."""
    unet = shutil.copytree(world / "shapes-sd" / "unet", tmp_path / "other" / "unet")
    (file,) = unet.glob("*.safetensors")
    save_file({k: v * 1.1 for k, v in load_file(file).items()}, file, {"format": "pt"})
    (tmp_path / "prompts.txt").write_text("a red star\ntwo hearts, winter\na tiny blue circle at night")

    def make(**changes: object) -> EvalConfig:
        plain = {
            "prompts": str(tmp_path / "prompts.txt"), "scorers": "clip", "images_per_prompt": 2, "steps": 2,
            "batch_size": 4, "out": tmp_path / "eval", "precision": "fp32",
            "checkpoint": ("base", str(unet.parent)), "distance": True, "primary": "clip",
        }  # fmt: skip
        return EvalConfig.parse({**plain, **changes})

    return make


def test_it_stands_in_every_table_and_is_measured_once(
    settings: Callable[..., EvalConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = evaluate(settings())
    assert result.n_missing == 0
    table = read_score_table(result.folder)
    assert "path_kl:eta1-unguided" in table.signature
    rows = table.rows[table.rows["scorer"] == "path_kl"]
    base = rows["checkpoint"] == "base"
    assert len(rows) == 12
    assert (rows[base]["value"] == 0).all()
    assert (rows[~base]["value"] > 0).all()
    with (result.folder / "leaderboard.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert float(lines[0]["path_kl"]) == 0
    assert float(lines[1]["path_kl"]) == pytest.approx(rows[~base]["value"].mean(), rel=1e-3)
    assert result.leaderboard is not None
    (column,) = [c for c in result.leaderboard.columns if c.name == "path_kl"]
    assert (column.axis, column.higher_is_better) == ("distance", False)

    def again(*args: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(path_kl, "_along", again)
    assert evaluate(settings()).image_sets == result.image_sets


def test_shards_measure_what_the_whole_reads(
    settings: Callable[..., EvalConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in (1, 2):
        evaluate(settings(shard=f"{i}/2"))
    monkeypatch.delattr(path_kl, "_along")
    assert evaluate(settings()).n_missing == 0


def test_without_the_flag_it_is_one_line(settings: Callable[..., EvalConfig]) -> None:
    with pytest.raises(UserError, match="scorer path_kl reads .*add --distance"):
        plan(settings(distance=False, scorers="path_kl", primary=()))
    agenda = plan(settings(scorers="path_kl", primary=()))
    assert [scorer.name for scorer in agenda.scorers] == ["path_kl"]
    assert "distance     of 2 steps with noise" in agenda.lines()


def test_images_made_elsewhere_have_none(make_set: Callable[..., ImageSet]) -> None:
    from dataclasses import replace

    images = make_set(prompts=2)
    unknown = replace(images, records=tuple(replace(r, path_kl=None) for r in images))
    (scorer,) = make_scorers(["path_kl"], "embedded")
    for row in scorer.score(unknown):
        assert row.status == "error"
        assert "fbench eval --distance" in row.note
