"""The gate on whole score tables."""

from dataclasses import replace

import pandas as pd
import pytest

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint
from benchmark.gate import decide, default_margin, gate_checkpoints, gate_methods
from benchmark.gate.differences import checkpoint_bounds
from benchmark.gate.margins import SET_MARGIN
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.leaderboard.score_table import ScoreTable
from tools.simulated_tables import simulated_table


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    return simulated_table(n_prompts=60, images_per_prompt=4)


def test_it_is_the_rule_on_the_cells_of_the_two(table: ScoreTable) -> None:
    verdict = gate_checkpoints(table, "sft", "dpo", ["hps", "true_diversity"], resamples=300)
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    cells = {s: cells_of(table.rows[table.rows.scorer == s], ids) for s in ("hps", "true_diversity")}
    bounds = {
        s: checkpoint_bounds(x[2], x[1], higher_is_better=True, resamples=300) for s, x in cells.items()
    }
    assert verdict == decide(bounds, {s: default_margin(x[0]) for s, x in cells.items()})
    # The simulation's dpo gains on hps and loses 0.15 of 0.12 standard deviations of diversity.
    assert [f.outcome for f in verdict.findings] == ["pass", "regression"]


def test_a_set_metric_has_a_share_of_the_baseline_as_its_margin(table: ScoreTable) -> None:
    verdict = gate_checkpoints(table, "base", "dpo", ["fid"])
    (finding,) = verdict.findings
    fid = table.rows[(table.rows.scorer == "fid") & table.rows.prompt_id.isna()].set_index("checkpoint")[
        "value"
    ]
    assert finding.margin == pytest.approx(SET_MARGIN * fid["base"])
    assert finding.bounds.value == pytest.approx(fid["base"] - fid["dpo"])
    assert finding.bounds.df == 19


def test_a_margin_of_ones_own_counts(table: ScoreTable) -> None:
    wide = gate_checkpoints(
        table, "sft", "dpo", ["true_diversity"], margins={"true_diversity": 5.0}, resamples=300
    )
    assert wide.outcome == "pass"
    assert wide.findings[0].note == "small but real decline"


def test_a_gap_in_a_jackknife_is_inconclusive(table: ScoreTable) -> None:
    rows = table.rows[table.rows["prompt_id"] != "jackknife:03"]
    whole = gate_checkpoints(replace(table, rows=rows), "base", "dpo", ["fid"])
    assert whole.findings[0].bounds.df == 18
    holed = table.rows.copy()
    holed.loc[(holed.prompt_id == "jackknife:03") & (holed.checkpoint == "dpo"), "value"] = float("nan")
    assert gate_checkpoints(replace(table, rows=holed), "base", "dpo", ["fid"]).outcome == "inconclusive"


def test_failing_where_it_is_hard_is_no_way_to_pass(table: ScoreTable) -> None:
    """Two whole prompts of 60 are more than 1 %, on either side."""
    for who in ("sft", "dpo"):
        for prompts, outcome in (([], "pass"), (["p007", "p011"], "inconclusive")):
            rows = table.rows.copy()
            gone = (rows.checkpoint == who) & rows.prompt_id.isin(prompts) & (rows.scorer == "hps")
            rows["value"] = rows["value"].mask(gone)
            verdict = gate_checkpoints(replace(table, rows=rows), "sft", "dpo", ["hps"], resamples=200)
            assert verdict.outcome == outcome


@pytest.mark.parametrize(
    ("baseline", "candidate", "scorers", "margins", "words"),
    [
        ("sftt", "dpo", ["hps"], {}, "sftt"),
        ("sft", "dpo", ["hpss"], {}, "hpss"),
        ("sft", "dpo", ["hps"], {"clip": 1.0}, "clip"),
    ],
)
def test_unknown_names_are_named(
    table: ScoreTable,
    baseline: str,
    candidate: str,
    scorers: list[str],
    margins: dict[str, float],
    words: str,
) -> None:
    with pytest.raises(UnknownNameError, match=words):
        gate_checkpoints(table, baseline, candidate, scorers, margins=margins)


def test_a_margin_without_a_unit_is_told_in_one_line(table: ScoreTable) -> None:
    """What the base or the baseline lacks: the default is no number then; a given margin needs no unit."""
    rows = table.rows.copy()
    rows.loc[(rows.checkpoint == "sft") & (rows.scorer == "fid") & rows.prompt_id.isna(), "value"] = float(
        "nan"
    )
    rows.loc[(rows.checkpoint == "base") & (rows.scorer == "hps"), "value"] = float("nan")
    rows.loc[(rows.checkpoint == "base") & (rows.scorer == "clip"), "value"] = 31.0
    holed = replace(table, rows=rows)
    for scorer, told in (
        ("fid", "fid has no default margin, as its value of sft is missing; --margin fid=VALUE, or"),
        ("hps", "hps has no default margin, as its spread of base is missing"),
        ("clip", "clip has no default margin, as its spread of base is zero"),
    ):
        with pytest.raises(UserError, match=told):
            gate_checkpoints(holed, "sft", "dpo", [scorer], resamples=100)
        verdict = gate_checkpoints(holed, "sft", "dpo", [scorer], margins={scorer: 1.0}, resamples=100)
        assert verdict.outcome == ("inconclusive" if scorer == "fid" else "pass")


def runs(shift: float, table: ScoreTable) -> tuple[ScoreTable, list[str], list[str]]:
    """Eight baseline runs and three of a candidate: the same scores with a shift by run."""
    scorer = table.rows[table.rows.scorer == "hps"]
    sources = [c.id for c in table.checkpoints]
    checkpoints, rows = [table.checkpoints[0]], [scorer[scorer.checkpoint == "base"]]
    for name, count, moved in (("kl", 8, 0.0), ("js", 3, shift)):
        for seed in range(count):
            # Noise of its own for every run: another checkpoint's rows, brought to the base's mean.
            own = scorer[scorer.checkpoint == sources[1 + (seed + count) % 4]].copy()
            own["value"] += 24.0 - own["value"].mean() + 0.01 * seed + moved
            own["checkpoint"] = f"{name}{seed}"
            checkpoints.append(Checkpoint(f"{name}{seed}", "shapes", "f_dpo", name, {"seed": seed}, 100))
            rows.append(own)
    columns = tuple(c for c in table.columns if c.name in {"hps", "fid"})
    joined = replace(
        table, rows=pd.concat(rows, ignore_index=True), checkpoints=tuple(checkpoints), columns=columns
    )
    return joined, [f"kl{i}" for i in range(8)], [f"js{i}" for i in range(3)]


def test_methods_are_gated_over_their_runs(table: ScoreTable) -> None:
    outcomes = {}
    for shift in (0.0, -1.0):
        joined, baseline, candidate = runs(shift, table)
        outcomes[shift] = gate_methods(joined, baseline, candidate, ["hps"]).outcome
    assert outcomes == {0.0: "pass", -1.0: "regression"}


def test_methods_need_runs_seeds_and_sampled_scorers(table: ScoreTable) -> None:
    joined, baseline, candidate = runs(0.0, table)
    rows = joined.rows.copy()
    gone = (rows.checkpoint == "kl5") & rows.prompt_id.isin(["p007", "p011"])
    rows["value"] = rows["value"].mask(gone)
    gaps = gate_methods(replace(joined, rows=rows), baseline, candidate, ["hps"])
    assert gaps.outcome == "inconclusive"
    with pytest.raises(UserError, match="2 candidate runs"):
        gate_methods(joined, baseline, candidate[:2], ["hps"])
    with pytest.raises(UserError, match="base has no training seed"):
        gate_methods(joined, baseline, [*candidate[:2], "base"], ["hps"])
    with pytest.raises(UserError, match="one number a set"):
        gate_methods(joined, baseline, candidate, ["fid"])
