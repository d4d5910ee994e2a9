"""The verdict of the committed evaluation, on simulated scores whose truth is known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.core.config import parse_settings
from benchmark.core.errors import ConfigError, UnknownNameError
from benchmark.core.records import Checkpoint, ScorerColumn, ScoreRow
from benchmark.core.store import read_json, write_json
from benchmark.leaderboard import ScoreTable, build_leaderboard, rows_to_frame
from benchmark.workflows.regress.study import parse_seeds
from tools.studies.seeds.choose import Candidate, Choice, append_to_log, choose, log_entry
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


def make_table(*effects: dict[str, float], loss: float | None = 0.68) -> ScoreTable:
    """A base and one checkpoint for each set of effects on it."""
    g = np.random.default_rng(0)
    made = [
        Checkpoint(f"run{i}", "shapes", "f_dpo", "reverse_kl", {"seed": i, "held_out_loss": loss}, 200)
        for i in range(len(effects))
    ]
    checkpoints = (Checkpoint("base", "shapes"), *made)
    rows: list[ScoreRow] = []
    for scorer, spread in SPREAD.items():
        shared = g.normal(size=(PROMPTS, K))
        for checkpoint, effect in zip(checkpoints, ({}, *effects), strict=True):
            values = effect.get(scorer, 0.0) + spread * (shared + 0.3 * g.normal(size=shared.shape))
            cells = np.ndenumerate(values)
            rows += [ScoreRow(checkpoint.id, scorer, "1", f"p{p:03d}", k, float(v)) for (p, k), v in cells]
    columns = tuple(ScorerColumn(s, "1", "preference", "image", True, primary=True) for s in SPREAD)
    return ScoreTable(rows_to_frame(rows), "made", "sig", checkpoints, columns, PROMPTS, K)


def verdict_of(table: ScoreTable) -> Verdict:
    board = build_leaderboard([table], resamples=400)
    return judge(
        table, board, [c.id for c in table.checkpoints[1:]], "shapes-f-dpo-reverse-kl", resamples=400
    )


def test_four_of_five_seeds_are_enough_and_three_are_not() -> None:
    bad = GOOD | {"true_taste": 0.0}
    four = verdict_of(make_table(GOOD, GOOD, bad, GOOD, GOOD))
    assert (four.n_passed, four.n_needed, four.passed) == (4, 4, True)
    assert [seed.passed for seed in four.seeds] == [True, True, False, True, True]
    three = verdict_of(make_table(GOOD, bad, bad, GOOD, GOOD))
    assert (three.n_passed, three.passed) == (3, False)


@pytest.mark.parametrize(
    ("scorer", "effect"),
    [("true_taste", -0.4), ("oracle", -0.03), ("scene_rate", -0.03)],
)
def test_each_rule_can_fail_a_seed(scorer: str, effect: float) -> None:
    (seed,) = verdict_of(make_table(GOOD | {scorer: effect})).seeds
    assert [f.scorer for f in seed.findings if f.passed is False] == [scorer]
    assert not seed.passed


def test_diversity_is_shown_with_its_interval_and_fails_nobody() -> None:
    (seed,) = verdict_of(make_table(GOOD | {"true_diversity": -0.5})).seeds
    diversity = seed.findings[-1]
    assert diversity.passed is None
    assert diversity.lo is not None
    assert diversity.hi is not None
    assert diversity.lo < -0.5 + 0.05 < diversity.hi + 0.1
    assert seed.passed


@pytest.mark.parametrize("loss", [0.70, None])
def test_a_run_that_learnt_nothing_on_held_out_pairs_fails(loss: float | None) -> None:
    (seed,) = verdict_of(make_table(GOOD, loss=loss)).seeds
    assert not seed.loss_passed
    assert not seed.passed


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
    text = verdict_markdown(verdict)
    assert "1 of 2 training seeds pass, 2 must: the claim does not hold." in text
    assert text.count(" ✗ |") == 1
    assert "| base (mean) |" in text
    write_json(tmp_path / "verdict.json", verdict)
    record: dict[str, Any] = read_json(tmp_path / "verdict.json")
    assert record["n_passed"] == 1
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
        "shapes_f_dpo_reverse_kl", (0, 3), tmp_path, also=(("shapes-sft", 1),), settings={"steps": 40}
    )
    runs = study.runs()
    assert [run.out.name for run in runs] == ["f-dpo-reverse-kl-seed0", "f-dpo-reverse-kl-seed3", "sft-seed1"]
    assert [run.seed for run in runs] == [0, 3, 1]
    assert {(run.steps, run.save_every) for run in runs} == {(40, 10)}
    config = study.eval_config(runs)
    assert (config.prompts, config.images_per_prompt, config.base) == ("shapes-core", 8, "shapes")
    with pytest.raises(ConfigError, match="asked for twice"):
        replace(study, also=((study.preset, 3),)).runs()


def test_test_prompts_are_never_chosen_on(tmp_path: Path) -> None:
    study = Study("shapes-rpo", (0,), tmp_path, evaluation={"prompts": "shapes-core"})
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
