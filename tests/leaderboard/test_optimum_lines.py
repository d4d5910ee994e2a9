"""Lines of optima in planes, and how far trained checkpoints are from the line of their own divergence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler, ScoreRow
from benchmark.leaderboard import ScoreTable, build_leaderboard, read_score_table, write_score_table
from benchmark.leaderboard.equal_level import equal_level
from benchmark.leaderboard.frontiers import frontiers_of, signature_of_optima, with_frontiers, with_lines
from benchmark.leaderboard.line_contrasts import contrast_rows, line_contrasts
from benchmark.leaderboard.line_distance import (
    BELOW,
    BEYOND,
    NEAR,
    ON,
    OUTSIDE,
    PAST,
    distance_lines,
    distances_from_lines,
)
from benchmark.leaderboard.optimum_lines import HOLLOW_BELOW, optimum_lines
from benchmark.leaderboard.score_table import rows_to_frame
from benchmark.scorers import Scorer
from benchmark.scorers.base import ImageScorer, Shown, Value
from benchmark.workflows.frontier.optimum import optima_of, optimum_table
from benchmark.workflows.frontier.pool import Pool
from tools.simulated_tables import COLUMNS

PROMPTS, POOL, K = 30, 16, 4
BETAS = tuple(np.geomspace(20, 0.02, 25).tolist())
BASE = Checkpoint("base", "shapes")
PICKSCORE, DIVERSITY = COLUMNS[0], COLUMNS[3]
RESAMPLES = 300


class _Reward(ImageScorer):
    name, axis, weights_hash = "pickscore", "preference", ""

    def load(self, device: str = "cpu") -> None: ...

    def values(self, shown: Shown) -> list[Value]:
        raise NotImplementedError


def world(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rewards (prompts, images), and pairs that differ more where their rewards do."""
    generator = np.random.default_rng(seed)
    rewards = generator.normal(size=(PROMPTS, POOL)) + generator.normal(size=(PROMPTS, 1))
    other = generator.normal(size=(PROMPTS, POOL))
    apart = np.abs(rewards[:, :, None] - rewards[:, None]) + np.abs(other[:, :, None] - other[:, None])
    return rewards, apart / 2.3


def pool_table(names: tuple[str, ...], scorer: Scorer | None = None, seed: int = 0) -> ScoreTable:
    rewards, pairs = world(seed)
    prompts = PromptSet("simulated", "1", tuple(Prompt(f"p{i:03d}", f"prompt {i}") for i in range(PROMPTS)))
    records = tuple(
        ImageRecord(prompt.id, k, Path(f"{prompt.id}_{k}.png")) for prompt in prompts for k in range(POOL)
    )
    images = ImageSet("pool", BASE, prompts, Sampler(), tuple(range(POOL)), records)
    values = zip(records, rewards.ravel(), strict=True)
    rows = [ScoreRow.measured("base", "pickscore", "1", v, r.prompt_id, r.seed) for r, v in values]
    pool = Pool(images, rows, {"true_diversity": pairs})
    optima = optima_of(names, ())
    made = optimum_table(pool, BASE, optima, scorer or _Reward(), (PICKSCORE, DIVERSITY), BETAS)
    return replace(
        made, signature=signature_of_optima("fbench:1.0|set:x", names, "pickscore", POOL), source="line"
    )


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> ScoreTable:
    names = ("reverse_kl", "jensen_shannon", "alpha(a=0.5)", "squared_hellinger", "pearson_chi2")
    path = tmp_path_factory.mktemp("table") / "scores.parquet"
    return replace(read_score_table(write_score_table(pool_table(names), path)), source="line")


def prompt_values(table: ScoreTable, checkpoint: str) -> tuple[np.ndarray, np.ndarray]:
    rows = table.rows[table.rows["checkpoint"] == checkpoint]
    reward, diversity = (
        rows[rows["scorer"] == name].sort_values("prompt_id")["value"].to_numpy()
        for name in ("pickscore", "true_diversity")
    )
    return reward, diversity


def evaluation(
    runs: dict[str, tuple[str, np.ndarray, np.ndarray]], base: tuple[np.ndarray, np.ndarray], **facts: object
) -> ScoreTable:
    """Scores of the base and of runs: divergence, reward and diversity by prompt."""
    checkpoints, rows = [BASE], list[ScoreRow]()
    for id_, divergence, reward, diversity in (
        ("base", "", *base), *((id_, *of) for id_, of in runs.items())
    ):  # fmt: skip
        if divergence:
            checkpoints.append(Checkpoint(id_, "shapes", "f_dpo", divergence, {"beta": 1.0, "seed": 0}, 100))
        for p in range(PROMPTS):
            for k in range(K):
                # Images of a prompt scatter about its mean.
                value = float(reward[p]) + 0.1 * (k - (K - 1) / 2)
                rows.append(ScoreRow.measured(id_, "pickscore", "v1@0123abcd", value, f"p{p:03d}", k))
            rows.append(
                ScoreRow.measured(id_, "true_diversity", "v1@0123abcd", float(diversity[p]), f"p{p:03d}")
            )
    return ScoreTable(
        rows_to_frame(rows), "x", "fbench:1.0|set:x", tuple(checkpoints), (PICKSCORE, DIVERSITY), PROMPTS, K,
        **facts,  # type: ignore[arg-type]
    )  # fmt: skip


def distance(table: ScoreTable, scores: ScoreTable, id_: str = "run") -> tuple[object, ...]:
    (found,) = (
        d
        for d in distances_from_lines(scores, table, "true_diversity", "pickscore", resamples=RESAMPLES)
        if d.checkpoint == id_
    )
    return found.x, found.x_lo, found.x_hi, found.y, found.y_lo, found.y_hi, found.verdict


def test_lines_begin_at_the_base_and_are_hollow_where_few_images_weigh(lines: ScoreTable) -> None:
    found = frontiers_of(lines, "true_diversity", "pickscore", "base", resamples=RESAMPLES)
    # The line of squared Hellinger is that of alpha(0.5), and stands once.
    assert [f.divergence for f in found] == ["reverse_kl", "jensen_shannon", "alpha(a=0.5)", "pearson_chi2"]
    assert {(f.reward, f.pool) for f in found} == {("pickscore", POOL)}
    base = prompt_values(lines, "base")
    for f in found:
        first, *others = f.points
        assert (first.label, first.y, first.x) == ("base", *(pytest.approx(v.mean()) for v in base))
        assert len(others) == len(BETAS)
        assert [p.hollow for p in others] == [p.effective_share < HOLLOW_BELOW for p in others]  # type: ignore[operator]
        assert (np.diff([p.y for p in f.points]) >= -1e-9).all()
        shares = [p.effective_share for p in f.points]
        assert shares[0] == 1
        assert (np.diff(np.array(shares, float)) <= 1e-9).all()
        assert first.hollow is False
        assert f.points[-1].hollow
        assert all(p.covariance is not None for p in others)


def test_lines_are_laid_at_the_bases_place(lines: ScoreTable) -> None:
    reward, diversity = prompt_values(lines, "base")
    scores = evaluation({"run": ("reverse_kl", reward, diversity)}, (reward + 0.3, diversity - 0.1))
    board = build_leaderboard([scores], resamples=RESAMPLES)
    drawn = with_frontiers(board, [lines], scores, resamples=RESAMPLES)
    (plane,) = drawn.planes
    star = plane.points[0]
    free = frontiers_of(lines, "true_diversity", "pickscore", "base", resamples=RESAMPLES)
    for laid, line in zip(plane.frontiers, free, strict=True):
        assert (laid.points[0].x, laid.points[0].y) == pytest.approx((star.x, star.y))
        for p, q in zip(laid.points, line.points, strict=True):
            assert (p.x - q.x, p.y - q.y) == pytest.approx((-0.1, 0.3))
            assert p.covariance == q.covariance
    assert replace(drawn, planes=()) == replace(board, planes=())
    assert [d.checkpoint for d in plane.distances] == ["run"]
    (words,) = distance_lines(plane, scores.checkpoints)
    assert words in plane.front_notes
    assert "against the optimum of pickscore under reverse_kl" in words


NUMBER = {"rever": 11, "jense": 8, "alpha": 9}
"""Points in the middle of each line."""


def at_point(table: ScoreTable, divergence: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    (line,) = (one for one in optimum_lines(table) if one.divergence == divergence)
    assert not line.hollow[number]
    return prompt_values(table, line.points[number].id)


@pytest.mark.parametrize("divergence", ["reverse_kl", "jensen_shannon", "alpha(a=0.5, knee=10.0)"])
def test_what_is_a_point_of_its_line_is_on_it(lines: ScoreTable, divergence: str) -> None:
    reward, diversity = at_point(lines, divergence.replace(", knee=10.0", ""), NUMBER[divergence[:5]])
    scores = evaluation({"run": (divergence, reward, diversity)}, prompt_values(lines, "base"))
    x, x_lo, x_hi, y, *_, verdict = distance(lines, scores)
    assert x == pytest.approx(0, abs=1e-9)
    assert y is None or y == pytest.approx(0, abs=1e-9)  # where it does not fall surely, nothing is read
    assert x_lo <= 0 <= x_hi  # type: ignore[operator]
    assert verdict == ON


def test_above_and_below_a_line_by_what_was_added(lines: ScoreTable) -> None:
    reward, diversity = at_point(lines, "reverse_kl", 11)
    base = prompt_values(lines, "base")
    noise = np.random.default_rng(1).normal(size=(2, PROMPTS)) * 0.005
    for shift, verdict in ((0.02, BEYOND), (-0.02, BELOW)):
        scores = evaluation({"run": ("reverse_kl", reward + noise[0], diversity + shift + noise[1])}, base)
        x, lo, hi, y, *_, found = distance(lines, scores)
        assert found == verdict
        assert lo < x < hi  # type: ignore[operator]
        assert x == pytest.approx(shift, abs=0.005)
        assert np.sign(y) == np.sign(shift)  # type: ignore[call-overload]


def test_nothing_is_said_beyond_the_ends(lines: ScoreTable) -> None:
    base = prompt_values(lines, "base")
    (line,) = (one for one in optimum_lines(lines) if one.divergence == "reverse_kl")
    last = [p for p, hollow in zip(line.points, line.hollow, strict=True) if not hollow][-1]
    reward, diversity = prompt_values(lines, last.id)
    for reached, kept, word in (
        (reward + 5, diversity - 5, PAST),
        (reward + 5, base[1] + 5, PAST),
        (base[0] - 5, base[1] + 5, OUTSIDE),
    ):
        far = evaluation({"run": ("reverse_kl", reached, kept)}, base)
        assert distance(lines, far) == (None, None, None, None, None, None, word)
    # Worse than the base in reward: no level is equal, but the diversity is.
    under = evaluation({"run": ("reverse_kl", base[0] - 1, (diversity + base[1]) / 2)}, base)
    x, _, _, y, _, _, verdict = distance(lines, under)
    assert x is None
    assert y < -1  # type: ignore[operator]
    assert verdict == BELOW
    # On the line where it begins or ends: half of the resamples leave its range.
    noise = np.random.default_rng(3).normal(scale=2, size=PROMPTS)
    near = evaluation({"run": ("reverse_kl", reward + noise - noise.mean() - 0.001, diversity + noise)}, base)
    assert distance(lines, near)[-1] == NEAR
    (plane,) = [
        p
        for p in with_frontiers(build_leaderboard([near], resamples=100), [lines], near).planes
        if p.distances
    ]
    (said,) = distance_lines(plane, near.checkpoints)
    assert "too near an end: in more than 5 % of the resamples of prompts it is outside" in said
    # The last full point itself can be read; what is hollow cannot.
    hollow = prompt_values(lines, line.points[-1].id)
    assert distance(lines, evaluation({"run": ("reverse_kl", *hollow)}, base))[0] is None


def test_only_those_with_a_line_of_their_own(lines: ScoreTable) -> None:
    base = prompt_values(lines, "base")
    scores = evaluation({"a": ("chi2_kl", *base), "b": ("pearson_chi2(knee=3.0)", *base)}, base)
    found = distances_from_lines(scores, lines, "true_diversity", "pickscore", resamples=RESAMPLES)
    assert [d.checkpoint for d in found] == ["b"]
    assert distances_from_lines(scores, scores, "true_diversity", "pickscore") == ()


def test_the_interval_covers(lines: ScoreTable) -> None:
    """Policies that stand on the line but for noise are told from it about once in twenty times."""
    base = prompt_values(lines, "base")
    reward, diversity = at_point(lines, "reverse_kl", 11)
    generator = np.random.default_rng(3)
    runs = {}
    for i in range(120):
        noise = 0.1 * generator.normal(size=(2, PROMPTS))
        runs[f"r{i}"] = ("reverse_kl", reward + noise[0], diversity + noise[1])
    found = distances_from_lines(
        evaluation(runs, base), lines, "true_diversity", "pickscore", resamples=RESAMPLES
    )
    missed = np.mean([d.x_lo > 0 or d.x_hi < 0 for d in found])  # type: ignore[operator]
    assert 0.01 <= missed <= 0.12


def test_a_scorer_that_is_better_when_lower_is_turned(lines: ScoreTable) -> None:
    base, run = prompt_values(lines, "base"), at_point(lines, "reverse_kl", 11)
    scores = evaluation({"run": ("reverse_kl", run[0], run[1] + 0.05)}, base)

    def turned(table: ScoreTable) -> ScoreTable:
        rows = table.rows.copy()
        rows.loc[rows["scorer"] == "true_diversity", "value"] *= -1
        columns = tuple(
            replace(c, higher_is_better=False) if c.name == "true_diversity" else c for c in table.columns
        )
        return replace(table, rows=rows, columns=columns)

    x, lo, hi, y, y_lo, y_hi, verdict = distance(lines, scores)
    assert distance(turned(lines), turned(scores)) == pytest.approx((-x, -hi, -lo, y, y_lo, y_hi, verdict))  # type: ignore[operator]


def test_lines_compared_at_equal_reward(lines: ScoreTable) -> None:
    reference, contrasts = line_contrasts(lines, "true_diversity", "pickscore", resamples=RESAMPLES)
    assert reference == "reverse_kl"
    assert {c.name for c in contrasts} == {"jensen_shannon", "alpha(a=0.5)", "pearson_chi2"}
    assert {c.share for c in contrasts} == {0.25, 0.5, 0.75}
    assert all(c.interval is not None and c.interval.lo < c.interval.hi for c in contrasts)
    heading, *rows = contrast_rows(reference, contrasts, "true_diversity", "pickscore")
    assert heading[0] == "true_diversity less that of reverse_kl"
    assert [row[0] for row in rows] == ["jensen_shannon", "alpha(a=0.5)", "pearson_chi2"]
    alone = pool_table(("reverse_kl",))
    assert line_contrasts(alone, "true_diversity", "pickscore") == ("", ())
    assert contrast_rows("", (), "true_diversity", "pickscore") == []


def test_lines_stand_beside_curves_at_equal_level(lines: ScoreTable) -> None:
    base = prompt_values(lines, "base")
    runs = {
        f"{name}-{i}": (name, *at_point(lines, name, 4 + 2 * i))
        for name in ("reverse_kl", "jensen_shannon")
        for i in range(3)
    }
    scores = evaluation(runs, base)
    scores = replace(
        scores,
        checkpoints=tuple(
            replace(c, hyperparameters={"beta": 1.0 / (1 + int(c.id[-1])), "seed": 0}) if c.objective else c
            for c in scores.checkpoints
        ),
    )
    found = equal_level(scores, level="pickscore", outcome="true_diversity", resamples=60)
    both = with_lines(found, scores, [lines], resamples=RESAMPLES)
    assert [line.divergence for line in both.lines] == [
        "reverse_kl", "jensen_shannon", "alpha(a=0.5)", "pearson_chi2"
    ]  # fmt: skip
    star = found.curves[0].points[0]
    assert {(line.points[0].x, line.points[0].y) for line in both.lines} == {(star.level, star.outcome)}
    assert replace(both, lines=()) == found
    with pytest.raises(UserError, match="is no frontier"):
        with_lines(found, scores, [scores])
    with pytest.raises(NotComparableError, match="set is"):
        other = replace(lines, signature=lines.signature.replace("set:x", "set:y"))
        with_lines(found, scores, [other])


def test_a_lower_reward_that_is_better_is_what_the_optimum_seeks() -> None:
    class Down(_Reward):
        higher_is_better = False

    table = pool_table(("reverse_kl",), Down())
    reached = [prompt_values(table, c.id)[0].mean() for c in table.checkpoints]
    assert (np.diff(reached) <= 1e-9).all()
    assert reached[-1] < reached[0] - 1


def test_no_reward_at_all_is_refused_and_a_prompt_without_one_is_undefined() -> None:
    rewards, pairs = world()
    rewards[0] = np.nan
    table = pool_of(rewards, pairs)
    rows = table.rows[(table.rows["prompt_id"] == "p000")]
    assert set(rows["status"]) == {"missing"}
    assert rows["note"].str.startswith("undefined").all()
    assert np.isfinite(table.rows["value"].dropna()).all()
    with pytest.raises(UserError, match="no image of the pool has a pickscore"):
        pool_of(rewards * np.nan, pairs)


def pool_of(rewards: np.ndarray, pairs: np.ndarray, betas: tuple[float, ...] = (1.0,)) -> ScoreTable:
    prompts = PromptSet("simulated", "1", tuple(Prompt(f"p{i:03d}", f"prompt {i}") for i in range(PROMPTS)))
    records = tuple(
        ImageRecord(prompt.id, k, Path(f"{prompt.id}_{k}.png")) for prompt in prompts for k in range(POOL)
    )
    images = ImageSet("pool", BASE, prompts, Sampler(), tuple(range(POOL)), records)
    rows = [
        ScoreRow.measured("base", "pickscore", "1", v, r.prompt_id, r.seed)
        if np.isfinite(v)
        else ScoreRow("base", "pickscore", "1", r.prompt_id, r.seed, None, "missing", "undefined: none")
        for r, v in zip(records, rewards.ravel(), strict=True)
    ]
    pool, optima = Pool(images, rows, {"true_diversity": pairs}), optima_of(("reverse_kl",), ())
    return optimum_table(pool, BASE, optima, _Reward(), (PICKSCORE, DIVERSITY), betas)
