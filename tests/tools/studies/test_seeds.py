"""The verdict of the committed evaluation, on simulated scores whose truth is known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.core.config import parse_settings
from benchmark.core.errors import ConfigError, UnknownNameError
from benchmark.core.records import Checkpoint, LeaderboardCell, ScorerColumn, ScoreRow
from benchmark.core.store import read_json, write_json
from benchmark.leaderboard import ScoreTable, build_leaderboard, rows_to_frame
from benchmark.workflows.regress.study import parse_seeds
from tools.studies.seeds.choose import Candidate, Choice, append_to_log, choose, log_entry
from tools.studies.seeds.directions import direction
from tools.studies.seeds.report import verdict_markdown
from tools.studies.seeds.runs import Study, parse_also
from tools.studies.seeds.verdict import Verdict, judge

PROMPTS, K = 100, 3
SPREAD = {
    "true_taste": 1.0, "oracle": 0.1, "true_taste_heldout": 1.0, "scene_rate": 0.1, "true_diversity": 0.1,
}  # fmt: skip
GOOD = {
    "true_taste": 0.4, "oracle": 0.01, "true_taste_heldout": 0.1, "scene_rate": 0.0,
    "true_diversity": -0.05,
}  # fmt: skip


def make_table(
    *effects: dict[str, float], loss: float | None = 0.68, spread: dict[str, float] | None = None
) -> ScoreTable:
    """A base and one checkpoint for each set of effects on it."""
    spreads = {**SPREAD, **(spread or {})}
    g = np.random.default_rng(0)
    made = [
        Checkpoint(f"run{i}", "shapes", "f_dpo", "reverse_kl", {"seed": i, "held_out_loss": loss}, 200)
        for i in range(len(effects))
    ]
    checkpoints = (Checkpoint("base", "shapes"), *made)
    rows: list[ScoreRow] = []
    for scorer, sd in spreads.items():
        shared = g.normal(size=(PROMPTS, K))
        for checkpoint, effect in zip(checkpoints, ({}, *effects), strict=True):
            values = effect.get(scorer, 0.0) + sd * (shared + 0.3 * g.normal(size=shared.shape))
            cells = np.ndenumerate(values)
            rows += [ScoreRow(checkpoint.id, scorer, "1", f"p{p:03d}", k, float(v)) for (p, k), v in cells]
    columns = tuple(ScorerColumn(s, "1", "preference", "image", True, primary=True) for s in spreads)
    return ScoreTable(rows_to_frame(rows), "made", "sig", checkpoints, columns, PROMPTS, K)


def verdict_of(table: ScoreTable) -> Verdict:
    board = build_leaderboard([table], resamples=400)
    return judge(
        table, board, [c.id for c in table.checkpoints[1:]], "shapes-f-dpo-reverse-kl", resamples=400
    )


def test_taste_rises_only_if_it_does_in_every_seed() -> None:
    bad = GOOD | {"true_taste": 0.0}
    verdict = verdict_of(make_table(GOOD, GOOD, bad))
    assert [seed.rises for seed in verdict.seeds] == [True, True, False]
    assert not verdict.rises
    assert verdict_of(make_table(GOOD, GOOD)).rises


@pytest.mark.parametrize(
    ("scorer", "effect", "rises", "keeps"),
    [
        ("true_taste", -0.4, False, True),
        ("oracle", -0.03, True, False),
        ("scene_rate", -0.03, True, False),
    ],
)
def test_each_rule_can_fail_a_seed(scorer: str, effect: float, rises: bool, keeps: bool) -> None:
    verdict = verdict_of(make_table(GOOD, GOOD | {scorer: effect}))
    good, bad = verdict.seeds
    assert [f.scorer for f in bad.findings if f.passed is False] == [scorer]
    assert (bad.rises, bad.keeps) == (rises, keeps)
    assert good.rises
    assert good.keeps
    assert verdict.keeps == 1 + keeps


def test_diversity_is_shown_with_its_interval_and_fails_nobody() -> None:
    (seed,) = verdict_of(make_table(GOOD | {"true_diversity": -0.5})).seeds
    diversity = seed.findings[-1]
    assert diversity.passed is None
    assert diversity.lo is not None
    assert diversity.hi is not None
    assert diversity.lo < -0.5 + 0.05 < diversity.hi + 0.1
    assert seed.rises
    assert seed.keeps


@pytest.mark.parametrize("loss", [0.70, None])
def test_a_run_that_learnt_nothing_on_held_out_pairs_fails(loss: float | None) -> None:
    (seed,) = verdict_of(make_table(GOOD, loss=loss)).seeds
    assert not seed.loss_passed
    assert not seed.rises


def test_the_bound_is_one_sided_and_so_above_the_intervals_end() -> None:
    (seed,) = verdict_of(make_table(GOOD)).seeds
    for finding in seed.findings:
        assert finding.lo is not None
        assert finding.bound is not None
        assert finding.difference is not None
        assert finding.lo < finding.bound < finding.difference


def test_a_verdict_needs_its_scorers() -> None:
    table = make_table(GOOD)
    kept = tuple(c for c in table.columns if c.name != "oracle")
    with pytest.raises(UnknownNameError, match="'oracle'"):
        verdict_of(replace(table, columns=kept, rows=table.rows[table.rows["scorer"] != "oracle"]))


def test_the_files_say_what_was_found(tmp_path: Path) -> None:
    verdict = verdict_of(make_table(GOOD, GOOD | {"oracle": -0.05}))
    text = verdict_markdown([replace(verdict, beta=0.3), replace(verdict, beta=0.1)])
    for beta in ("0.3", "0.1"):
        assert f"`shapes-f-dpo-reverse-kl`, beta {beta}: taste rises in 2 of 2 training seeds" in text
        assert f"## `shapes-f-dpo-reverse-kl`, beta {beta}" in text
    assert "are kept in 1." in text
    assert text.count(" ✗ |") == 2
    tastes = [seed.findings[0].difference or 0.0 for seed in verdict.seeds]
    assert f"| {sum(tastes) / 2:+.3f} ({min(tastes):+.3f}, {max(tastes):+.3f}) |" in text
    write_json(tmp_path / "verdict.json", verdict)
    record: dict[str, Any] = read_json(tmp_path / "verdict.json")
    assert record["keeps"] == 1
    assert {f["scorer"] for f in record["seeds"][0]["findings"]} == set(SPREAD)


def test_the_choice_is_logged_once_with_the_kept_candidates_first(tmp_path: Path) -> None:
    verdict = verdict_of(make_table(GOOD, GOOD | {"true_taste": 0.9, "oracle": -0.1}))
    found = [Candidate(1.0, 1e-4, 50 * (i + 1), one) for i, one in enumerate(verdict.seeds)]
    assert [c.keeps for c in found] == [True, False]
    entry = log_entry(Choice(tuple(found), verdict), "python -m tools.studies.seeds --choose")
    assert "Highest gain among those that keep the rest: beta 1, lr 0.0001, 50 steps." in entry
    log = tmp_path / "LOG.md"
    assert append_to_log(log, "Settings", entry)
    assert not append_to_log(log, "Settings", entry)
    assert log.read_text().count("## ") == 1
    assert append_to_log(log, "Settings again", entry + "\nmore\n")
    titles = [line for line in log.read_text().splitlines() if line.startswith("#")]
    assert [title.split(" ", 2)[-1] for title in titles] == ["Log", "Settings again", "Settings"]


def test_runs_of_a_study(tmp_path: Path) -> None:
    study = Study(
        ("shapes_f_dpo_reverse_kl",), (0, 3), tmp_path, also=(("shapes-sft", 1),), settings={"steps": 40}
    )
    runs = study.runs()
    assert [run.out.name for run in runs] == ["f-dpo-reverse-kl-seed0", "f-dpo-reverse-kl-seed3", "sft-seed1"]
    assert [run.seed for run in runs] == [0, 3, 1]
    assert {(run.steps, run.save_every) for run in runs} == {(40, 10)}
    config = study.eval_config(runs)
    assert (config.prompts, config.images_per_prompt, config.base) == ("shapes-core", 8, "shapes")
    with pytest.raises(ConfigError, match="asked for twice"):
        replace(study, also=(("shapes-f-dpo-reverse-kl", 3),)).runs()
    with pytest.raises(ConfigError, match="at least one of each"):
        replace(study, seeds=()).runs()


def test_arms_of_a_seed_are_neighbours(tmp_path: Path) -> None:
    presets = ("shapes-f-dpo-reverse-kl", "shapes-f-dpo-jensen-shannon")
    study = Study(presets, (0, 1), tmp_path, betas=(0.3, 0.1))
    runs = study.runs()
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
    assert [(run.divergence, run.beta) for run in runs[:4]] == [
        ("reverse_kl", 0.3), ("reverse_kl", 0.1), ("jensen_shannon", 0.3), ("jensen_shannon", 0.1),
    ]  # fmt: skip
    assert runs[-1].out.name == "f-dpo-jensen-shannon-beta0.1-seed1"


def test_test_prompts_are_never_chosen_on(tmp_path: Path) -> None:
    study = Study(("shapes-rpo",), (0,), tmp_path, evaluation={"prompts": "shapes-core"})
    with pytest.raises(ConfigError, match="shapes-core, which are test prompts; allowed: shapes-validation"):
        choose(study, [1.0], [1e-4], [50])


def test_words_of_the_command_line() -> None:
    assert parse_seeds("0-4") == (0, 1, 2, 3, 4)
    assert parse_also("shapes-rpo:2") == ("shapes-rpo", 2)
    assert parse_settings(["beta=2", "slope-matched=true"]) == {"beta": 2, "slope_matched": True}
    for parse, word in ((parse_seeds, "a"), (parse_also, "rpo")):
        with pytest.raises(ConfigError, match="allowed: "):
            parse(word)
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_settings(["beta"])


def cell(lo: float | None, hi: float | None) -> LeaderboardCell:
    middle = None if lo is None or hi is None else (lo + hi) / 2
    return LeaderboardCell("pickscore", difference=middle, difference_lo=lo, difference_hi=hi)


def test_a_direction_is_the_side_on_which_the_whole_interval_lies() -> None:
    ends = [(0.1, 0.3), (-0.3, -0.1), (-0.1, 0.2), (None, None)]
    assert [direction(cell(*end)) for end in ends] == ["up", "down", "open", "open"]


def test_learned_scorers_are_told_from_the_truth_seed_by_seed() -> None:
    up, down = GOOD | {"true_reward": 0.5, "pickscore": 0.5}, GOOD | {"true_reward": 0.5, "pickscore": -0.5}
    (same,) = verdict_of(make_table(up, up, spread={"true_reward": 1.0, "pickscore": 1.0})).learned
    assert (same.scorer, same.truth, same.agree, same.against) == ("pickscore", "true_reward", 2, 0)
    verdict = verdict_of(make_table(up, down, spread={"true_reward": 1.0, "pickscore": 1.0}))
    (apart,) = verdict.learned
    assert (apart.agree, apart.against) == (1, 1)
    assert "AGAINST the truth in 1 of 2 seeds" in verdict_markdown([verdict])
