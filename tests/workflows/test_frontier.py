"""Frontiers from an evaluation to their table, with random weights of the real classes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import ConfigError, MissingRowsError, NotComparableError, UserError
from benchmark.core.manifest import read_manifest
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.run import evaluate
from benchmark.leaderboard import build_leaderboard, join_tables, read_score_table
from benchmark.leaderboard.frontiers import with_frontiers
from benchmark.models import models
from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.frontier.plan import default_scales, plan_frontier
from benchmark.workflows.frontier.run import make_frontier

K, PROMPTS = 2, 3
Make = Callable[..., FrontierConfig]


@pytest.fixture(scope="module")
def evaluated(world_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of the base alone, in the random world."""
    from benchmark import prompt_sets
    from benchmark.core import resources

    prompt_sets.registry.names()
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "prompts.txt").write_text("a red star\ntwo hearts, winter\na tiny blue circle at night\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "_PACKAGE", world_folder)
        config = EvalConfig(
            prompts=str(folder / "prompts.txt"), scorers=("hps", "clip", "lpips", "path_kl"), distance=True,
            primary=("hps", "lpips"), images_per_prompt=K, steps=1, batch_size=4, out=folder / "eval",
            precision="fp32", device="cpu",
        )  # fmt: skip
        evaluate(config)
    return config.out


@pytest.fixture
def make(world: Path, evaluated: Path, tmp_path: Path) -> Make:
    """Settings for a frontier of a copy of that evaluation."""
    folder = shutil.copytree(evaluated, tmp_path / "eval")

    def make(**changes: object) -> FrontierConfig:
        plain = {"evaluation": folder, "scales": "1,2,3", "best_of": "2,4", "device": "cpu"}
        return FrontierConfig.parse({**plain, "out": folder / "frontier", **changes})

    return make


def values(rows: pd.DataFrame, checkpoint: str) -> pd.DataFrame:
    own = rows[rows["checkpoint"] == checkpoint].drop(columns="checkpoint")
    return own.sort_values(["scorer", "prompt_id", "seed"]).reset_index(drop=True)


def pictures(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.glob("images/*/*.png")}


def test_a_frontier_and_its_resumption(make: Make) -> None:
    config = make()
    before = pictures(config.evaluation)
    result = make_frontier(config, command="fbench frontier eval")
    ids = [c.id for c in result.table.checkpoints]
    assert ids == [
        "base", "base@cfg-1", "base@cfg-2", "base@cfg-3", "base@best-of-2-hps", "base@best-of-4-hps"
    ]  # fmt: skip
    assert [images.checkpoint.id for images in result.image_sets] == ids
    assert result.n_missing == 0
    # path_kl measures training, and is left out.
    assert [c.name for c in result.table.columns] == ["hps", "clip", "lpips"]
    assert [c.in_domain for c in result.table.columns] == [tuple(ids[4:]), (), ()]
    assert result.table.checkpoints[3].hyperparameters == {"guidance": 3.0}
    assert result.table.checkpoints[5].hyperparameters == {"best_of": 4, "best_of_by": "hps"}
    manifest = read_manifest(config.out)
    assert (manifest.kind, manifest.status) == ("frontier", "success")

    # The base is the evaluation's, image for image and number for number.
    made = pictures(config.evaluation)
    assert {name: made[name] for name in before} == before
    assert len(made) - len(before) == PROMPTS * K * (2 + 3)
    evaluation = read_score_table(config.evaluation)
    shared = evaluation.rows[evaluation.rows["scorer"] != "path_kl"]
    pd.testing.assert_frame_equal(values(result.table.rows, "base"), values(shared, "base"))
    # So is guidance at the base's own scale; other scales give other images.
    rows = result.table.rows
    pd.testing.assert_frame_equal(values(rows, "base@cfg-2"), values(rows, "base"))
    assert not values(rows, "base@cfg-3")["value"].equals(values(rows, "base")["value"])
    chosen = [values(rows[rows["scorer"] == "hps"], id_)["value"] for id_ in ("base", *ids[4:])]
    assert (chosen[0] <= chosen[1]).all()
    assert (chosen[1] <= chosen[2]).all()

    again = make_frontier(config)
    pd.testing.assert_frame_equal(again.table.rows, rows)
    assert pictures(config.evaluation) == made
    # The evaluation goes on as if nothing had happened.
    board = build_leaderboard([evaluation], resamples=200)
    drawn = with_frontiers(board, [again.table], resamples=200)
    assert [f.name for f in drawn.planes[0].frontiers] == ["guidance", "best of n by hps (in-domain)"]
    assert drawn.rows == board.rows
    with pytest.raises(NotComparableError, match="frontier is"):
        join_tables([again.table, evaluation])


def test_a_killed_run_goes_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.generate import generate

    config, calls = make(), list[object]()

    def pressed(*words: Any, **more: Any) -> Any:
        calls.append(words)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return generate(*words, **more)

    monkeypatch.setattr("benchmark.workflows.frontier.run.generate", pressed)
    with pytest.raises(KeyboardInterrupt):
        make_frontier(config)
    assert read_manifest(config.out).status == "cancelled"
    first = pictures(config.evaluation)
    monkeypatch.setattr("benchmark.workflows.frontier.run.generate", generate)
    make_frontier(config)
    finished = pictures(config.evaluation)
    assert {name: finished[name] for name in first} == first
    assert read_manifest(config.out).attempts == 2
    # A larger n later only adds to the pool.
    make_frontier(make(best_of="2,5"))
    more = pictures(config.evaluation)
    assert {name: more[name] for name in finished} == finished
    assert len(more) == len(finished) + PROMPTS * K


def test_an_image_that_fails_is_a_missing_row(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.generate import images

    draw = images._draw

    def fail(cells: Any, *words: Any, **more: Any) -> Any:
        drawn = draw(cells, *words, **more)
        broken = ("red star", range(0, 2 * K, K))
        return [
            "no luck" if broken[0] in cell.text and cell.k in broken[1] else image
            for cell, image in zip(cells, drawn, strict=True)
        ]

    config = make(scales="none", best_of="2,4")
    shutil.rmtree(config.evaluation / "images" / "base")
    monkeypatch.setattr(images, "_draw", fail)
    result = make_frontier(config)
    rows = result.table.rows
    gone = rows[rows["value"].isna()].groupby("checkpoint").size()
    # Two scorers of images and one of prompts; best of 4 has two more images to choose from.
    assert gone.to_dict() == {"base": 3, "base@best-of-2-hps": 3}
    assert set(rows[rows["checkpoint"] == "base@best-of-4-hps"]["status"]) == {"ok"}
    assert result.n_missing == 6
    with pytest.raises(MissingRowsError, match="6 of"):
        result.raise_if_missing()
    assert read_manifest(config.out).status == "success"


def test_the_plan_says_what_it_costs(make: Make) -> None:
    lines = "\n".join(plan_frontier(make()).lines())
    assert "guidance     1, 2, 3" in lines
    assert "best of n    2, 4 by hps" in lines
    assert "images       36: 6 of the base itself, which the evaluation has; 12 at 2 other" in lines
    assert "18 more to choose the best of 4 from" in lines
    only = plan_frontier(make(scales="none", best_of="3", by="clip", scorers="hps,lpips"))
    assert only.scales == ()
    assert [scorer.name for scorer in only.scorers] == ["hps", "lpips", "clip"]
    # The evaluation's own scale is always among them.
    assert plan_frontier(make(scales="4", best_of="none")).scales == (2.0, 4.0)


@pytest.mark.parametrize("name", models.names())
def test_default_scales_are_around_the_base_models_own(name: str) -> None:
    own = models.create(name).sampler.guidance
    scales = default_scales(own)
    assert own in scales
    # Below 1 there is no guidance: a model that has none of its own has fewer scales.
    assert len(scales) == (5 if own == 1 else 7)
    assert scales == tuple(sorted(scales))
    assert min(scales) >= 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scales": "0.5"}, "at least 1"),
        ({"best_of": "1,4"}, "from 2 to 16"),
        ({"best_of": "4,32"}, "from 2 to 16"),
        ({"scales": "none", "best_of": "none"}, "neither guidance scales nor best of n"),
        ({"by": "lpips"}, "unit prompt"),
        ({"by": "hsp"}, "hps"),
        ({"scorers": "clip,lpips"}, "no learned preference scorer"),
        ({"evaluation": Path("nowhere")}, "nowhere"),
    ],
)
def test_what_cannot_be_made_is_one_line(make: Make, changes: dict[str, object], said: str) -> None:
    with pytest.raises((ConfigError, UserError), match=said) as told:
        plan_frontier(make(**changes))
    assert "\n" not in str(told.value)


def test_what_is_no_evaluation_or_has_changed_is_refused(make: Make) -> None:
    config = make(scales="3", best_of="none")
    make_frontier(config)
    with pytest.raises(UserError, match="a run of `frontier`"):
        plan_frontier(make(evaluation=config.out))
    with pytest.raises(UserError, match="holds a run of `eval`"):
        plan_frontier(make(out=config.evaluation))
    prompts = Path(read_manifest(config.evaluation).config["prompts"])
    text = prompts.read_text()
    prompts.write_text(text + "one ring\n")
    try:
        with pytest.raises(NotComparableError, match="set is prompts@"):
            plan_frontier(config)
    finally:
        prompts.write_text(text)


def test_numbers_do_not_depend_on_what_else_is_asked(make: Make) -> None:
    """The pool's numbering does not change with the largest n."""
    small = make_frontier(make(scales="none", best_of="2")).table.rows
    large = make_frontier(make(scales="none", best_of="2,3")).table.rows
    id_ = "base@best-of-2-hps"
    pd.testing.assert_frame_equal(values(small, id_), values(large, id_))
    assert np.isfinite(values(small, id_)["value"]).all()
