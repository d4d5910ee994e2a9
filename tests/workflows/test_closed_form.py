"""The optimum under divergences from an evaluation to its table, with random weights of the real classes."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import ConfigError, NotComparableError, UserError
from benchmark.core.manifest import read_manifest
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.run import evaluate
from benchmark.leaderboard import ScoreTable, build_leaderboard, join_tables, read_score_table
from benchmark.leaderboard.frontiers import with_frontiers
from benchmark.leaderboard.optimum_lines import EFFECTIVE_SHARE, KL, OPTIMUM_COLUMNS, VALUE, optimum_lines
from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.frontier.optimum import NO_REWARD, default_betas
from benchmark.workflows.frontier.plan import plan_frontier
from benchmark.workflows.frontier.run import make_frontier
from trainers.divergences import divergences

K, PROMPTS, POOL = 2, 3, 5
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
            prompts=str(folder / "prompts.txt"), scorers=("hps", "clip", "lpips", "vendi", "fid"),
            primary=("hps", "lpips"), images_per_prompt=K, steps=1, batch_size=4, out=folder / "eval",
            precision="fp32", device="cpu",
        )  # fmt: skip
        evaluate(config)
    return config.out


@pytest.fixture
def make(world: Path, evaluated: Path, tmp_path: Path) -> Make:
    """Settings for the optima of a copy of that evaluation."""
    folder = shutil.copytree(evaluated, tmp_path / "eval")

    def make(**changes: object) -> FrontierConfig:
        plain = {"evaluation": folder, "closed_form": True, "pool": POOL, "device": "cpu"}
        return FrontierConfig.parse({**plain, "out": folder / "closed-form", **changes})

    return make


def means(table: ScoreTable, scorer: str) -> pd.DataFrame:
    """A line a prompt, a column a checkpoint."""
    rows = table.rows[table.rows["scorer"] == scorer]
    return rows.pivot_table(index="prompt_id", columns="checkpoint", values="value", dropna=False)


def pictures(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.glob("images/*/*.png")}


def test_optima_and_their_resumption(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make(divergence=("reverse_kl", "jensen_shannon"), betas="2,0.5")
    before = pictures(config.evaluation)
    result = make_frontier(config, command="fbench frontier eval --closed-form")
    ids = [c.id for c in result.table.checkpoints]
    assert ids == [
        "base", "base@optimum-reverse_kl-2", "base@optimum-reverse_kl-0.5",
        "base@optimum-jensen_shannon-2", "base@optimum-jensen_shannon-0.5",
    ]  # fmt: skip
    assert result.betas == (2.0, 0.5)
    assert (result.n_missing, result.n_dropped) == (0, 0)
    # What no weights on images can tell is left out.
    assert [c.name for c in result.table.columns] == ["hps", "clip", "lpips", *OPTIMUM_COLUMNS]
    assert {c.unit for c in result.table.columns} == {"prompt"}
    assert result.table.columns[0].in_domain == tuple(ids[1:])
    manifest = read_manifest(config.out)
    assert (manifest.kind, manifest.status) == ("frontier", "success")
    # The pool's first K are the evaluation's own.
    made = pictures(config.evaluation)
    assert {name: made[name] for name in before} == before
    assert len(made) - len(before) == PROMPTS * (POOL - K)

    # The same command computes nothing that takes long again, and gives the same table.
    def never(*words: object) -> None:
        raise AssertionError("pairs are kept")

    monkeypatch.setattr("benchmark.scorers.lpips.Lpips.pair_distances", never)
    again = make_frontier(config)
    pd.testing.assert_frame_equal(again.table.rows, result.table.rows)
    assert pictures(config.evaluation) == made
    # And the evaluation goes on as if nothing had happened.
    evaluation = read_score_table(config.evaluation)
    board = build_leaderboard([evaluation], resamples=200)
    drawn = with_frontiers(board, [again.table], evaluation, resamples=200)
    lines = drawn.planes[0].frontiers
    assert [line.divergence for line in lines] == ["reverse_kl", "jensen_shannon"]
    assert {(line.reward, line.pool) for line in lines} == {("hps", POOL)}
    star = drawn.planes[0].points[0]
    assert {(line.points[0].x, line.points[0].y) for line in lines} == {(star.x, star.y)}
    assert drawn.rows == board.rows
    with pytest.raises(NotComparableError, match="frontier is"):
        join_tables([again.table, evaluation])


def test_numbers_are_the_weighted_means_of_the_pools_halves(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against an evaluation of as many images, and the weights of reverse KL by hand."""
    from benchmark.scorers.lpips import Lpips

    asked, distances = Lpips.pair_distances, dict[str, np.ndarray]()

    def told(self: Lpips, shown: Any) -> np.ndarray:
        found = asked(self, shown)
        assert [record.seed for record in shown.records] == list(range(POOL))
        distances[shown.records[0].prompt_id] = np.asarray(found)
        return found

    monkeypatch.setattr(Lpips, "pair_distances", told)
    config = make(divergence=("reverse_kl",), betas="1,0.2")
    table = make_frontier(config).table
    whole = EvalConfig.parse({
        **read_manifest(config.evaluation).config,
        "images_per_prompt": POOL, "out": config.evaluation.parent / "whole",
    })  # fmt: skip
    evaluate(whole)
    rows = read_score_table(whole.out).rows
    hps, clip = (
        rows[rows["scorer"] == name].pivot_table(index="prompt_id", columns="seed", values="value").to_numpy()
        for name in ("hps", "clip")
    )
    np.testing.assert_allclose(means(table, "hps")["base"], hps.mean(axis=1))
    lpips = np.stack([distances[str(prompt)] for prompt in means(table, "lpips").index])
    whole_lpips = rows[rows["scorer"] == "lpips"].set_index("prompt_id")["value"].sort_index()
    np.testing.assert_allclose(lpips.sum(axis=(1, 2)) / (POOL * (POOL - 1)), whole_lpips, rtol=1e-5)
    cuts = (([0, 2, 4], [1, 3]), ([0, 1, 2], [3, 4]))
    for beta, point in (
        (np.inf, "base"), (1.0, "base@optimum-reverse_kl-1"), (0.2, "base@optimum-reverse_kl-0.2"),
    ):  # fmt: skip
        found = {name: np.zeros(PROMPTS) for name in ("hps", "clip", "lpips", EFFECTIVE_SHARE, KL)}
        for cut in cuts:
            u = np.zeros_like(hps)
            for half in cut:
                raised = np.exp((hps - hps.max(axis=1, keepdims=True)) / beta)[:, half]
                u[:, half] = raised / raised.mean(axis=1, keepdims=True)
            first, second = cut
            both = u[:, first, None] * u[:, None, second]
            found["hps"] += (u * hps).mean(axis=1) / 2
            found["clip"] += (u * clip).mean(axis=1) / 2
            apart = lpips[:, first][:, :, second]
            found["lpips"] += (both * apart).sum(axis=(1, 2)) / both.sum(axis=(1, 2)) / 2
            found[EFFECTIVE_SHARE] += POOL / (u**2).sum(axis=1) / 2
            found[KL] += (u * np.log(u)).mean(axis=1) / 2
        for name, by_hand in found.items():
            np.testing.assert_allclose(means(table, name)[point], by_hand, rtol=1e-5, atol=1e-9)
        # D_f is KL here.
        np.testing.assert_allclose(means(table, VALUE)[point], found[KL], atol=1e-9)


def test_by_default_every_registered_divergence_over_forty_betas(make: Make) -> None:
    result = make_frontier(make(scorers="hps,lpips"))
    lines = optimum_lines(result.table)
    assert len(lines) == len(divergences.names())
    assert all(len(line.points) == 40 for line in lines)
    drawn_as = {line.divergence: line.drawn_as for line in lines}
    assert drawn_as["squared_hellinger"] == "alpha(a=0.5)"
    assert drawn_as["reverse_kl"] == "reverse_kl"
    reached = means(result.table, "hps").mean()
    for line in lines:
        along = [reached["base"], *(reached[point.id] for point in line.points)]
        assert (np.diff(along) >= -1e-9).all()
        assert along[1] == pytest.approx(along[0], abs=0.2)


def test_a_formula_and_a_file(make: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from trainers.divergences import ReverseKL\n"
        "class Mine(ReverseKL.__mro__[1]):\n"
        "    name, symmetric, reference = 'mine', False, 'mine'\n"
        "    f_prime_at_0 = ReverseKL.f_prime_at_0\n"
        "    f, exact_h, exact_slope = ReverseKL.f, ReverseKL.exact_h, ReverseKL.exact_slope\n"
    )
    names = ("reverse_kl", "expr: u*log(u) + u/2 - 1/2", f"{tmp_path}/mine.py:Mine")
    table = make_frontier(make(divergence=names, betas="0.5", scorers="hps,lpips")).table
    lines = optimum_lines(table)
    assert [line.drawn_as for line in lines] == ["reverse_kl"] * 3
    first, *others = (means(table, "hps")[line.points[0].id] for line in lines)
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-9)


def test_an_image_without_a_reward_is_not_in_the_pool(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.generate import images

    draw = images._draw

    def fail(cells: Any, *words: Any, **more: Any) -> Any:
        drawn = draw(cells, *words, **more)
        return [
            "no luck" if "red star" in cell.text and cell.k in (0, 3) else image
            for cell, image in zip(cells, drawn, strict=True)
        ]

    config = make(divergence=("reverse_kl",), betas="0.5")
    shutil.rmtree(config.evaluation / "images" / "base")
    monkeypatch.setattr(images, "_draw", fail)
    result = make_frontier(config)
    assert (result.n_dropped, result.n_missing) == (2, 0)
    rows = result.table.rows
    assert set(rows["status"]) == {"ok"}
    noted = rows[rows["note"] != ""]
    assert len(noted) == 1
    assert noted.iloc[0]["note"] == f"2 of {POOL} images {NO_REWARD}"
    assert read_manifest(config.out).status == "success"


def test_a_killed_run_goes_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.scorers.lpips import Lpips

    config, ask, calls = make(divergence=("reverse_kl",)), Lpips.pair_distances, list[object]()

    def pressed(*words: Any) -> Any:
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return ask(*words)

    monkeypatch.setattr(Lpips, "pair_distances", pressed)
    with pytest.raises(KeyboardInterrupt):
        make_frontier(config)
    assert read_manifest(config.out).status == "cancelled"
    assert not (config.out / "scores.parquet").exists()
    make_frontier(config)
    assert read_manifest(config.out).attempts == 2
    assert len(calls) == 1 + PROMPTS  # the first prompt's pairs were kept


def test_a_scorer_of_pairs_that_fails_is_missing_rows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*words: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr("benchmark.scorers.lpips.Lpips.pair_distances", fail)
    result = make_frontier(make(divergence=("reverse_kl",), betas="0.5"))
    gone = result.table.rows[result.table.rows["status"] == "error"]
    assert set(gone["scorer"]) == {"lpips"}
    assert set(gone["note"]) == {"RuntimeError: no luck"}
    assert result.n_missing == len(gone) == 2 * PROMPTS


def test_a_scorer_that_fails_on_an_image_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.scorers.clip import Clip

    def fail(*words: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(Clip, "values", fail)
    result = make_frontier(make(divergence=("reverse_kl",), betas="0.5"))
    assert result.n_missing == PROMPTS * (POOL - K)  # the evaluation's own are known
    clip = result.table.rows[result.table.rows["scorer"] == "clip"]
    assert set(clip["status"]) == {"ok"}


def test_the_plan_says_what_it_costs_and_leaves_out(make: Make) -> None:
    lines = "\n".join(plan_frontier(make(divergence=("reverse_kl", "expr: 2*u*log(u)"))).lines())
    assert "reward       hps" in lines
    assert "divergences  reverse_kl, expr: 2*u*log(u) (the line of reverse_kl)" in lines
    assert "betas        40 from 30 to 0.03 times the standard deviation of the reward" in lines
    assert "images       15 of the base: 6, which the evaluation has; 9 more" in lines
    assert "left out     vendi, fid" in lines
    assert "betas        2, 1" in "\n".join(plan_frontier(make(betas="1,2")).lines())


def test_the_default_betas_follow_the_unit_of_the_reward() -> None:
    rewards = np.random.default_rng(0).normal(size=(20, 8))
    np.testing.assert_allclose(default_betas(100 * rewards + 7), 100 * np.array(default_betas(rewards)))
    np.testing.assert_allclose(default_betas(np.full((2, 3), 5.0)), np.geomspace(30, 0.03, 40))
    assert math.isfinite(default_betas(np.array([[1.0, np.nan]]))[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scales": "2"}, "--closed-form goes without --scales"),
        ({"best_of": "2"}, "--closed-form goes without --best-of"),
        ({"closed_form": False, "pool": 8}, "--closed-form is needed for --pool"),
        ({"closed_form": False, "pool": 16, "betas": "1"}, "--closed-form is needed for --betas"),
        ({"betas": "1,0"}, "a beta is a number above 0"),
        ({"pool": 1}, "greater than or equal to 2"),
        ({"divergence": ("reverse_kll",)}, "reverse_kl"),
        ({"divergence": ("expr: u",)}, "expr: u"),
        ({"by": "lpips"}, "unit prompt"),
        ({"scorers": "clip,lpips"}, "no learned preference scorer"),
    ],
)
def test_what_cannot_be_made_is_one_line(make: Make, changes: dict[str, object], said: str) -> None:
    with pytest.raises((ConfigError, UserError), match=said) as told:
        plan_frontier(make(**changes))
    assert "\n" not in str(told.value)
