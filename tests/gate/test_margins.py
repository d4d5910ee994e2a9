"""The margin of a method: never wider than what the baseline gained."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.gate import default_margin, gate_methods
from benchmark.gate.margins import method_margin
from benchmark.leaderboard import read_score_table
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.workflows.regress.baselines import SCORERS, find_baseline, trained


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_the_margin_is_the_gain_where_that_is_narrower(higher_is_better: bool) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 4))
    usual = default_margin(base)
    sign = 1.0 if higher_is_better else -1.0
    for gain, margin in ((0.5 * usual, 0.5 * usual), (3 * usual, usual), (-usual, usual), (0.0, usual)):
        runs = np.stack([base + sign * gain] * 8)
        assert method_margin(base, runs, higher_is_better=higher_is_better) == pytest.approx(margin)
    # A gain that may be an accident is none.
    noisy = np.stack([base + sign * 0.1 * usual] * 8) + rng.normal(size=(8, 40, 4))
    assert method_margin(base, noisy, higher_is_better=higher_is_better) == pytest.approx(usual)
    runs[:, 3, 1] = np.nan
    assert method_margin(base, runs, higher_is_better=higher_is_better) == pytest.approx(usual)


def test_who_learns_nothing_does_not_pass() -> None:
    """Four copies of the base model with noise of their own, held against the committed runs."""
    table = read_score_table(find_baseline("reverse_kl"))
    runs = trained(table)
    rows = table.rows.copy()
    reward = cells_of(rows[rows["scorer"] == "true_taste"], [c.id for c in table.checkpoints])
    gain = float(np.nanmean(reward[1:]) - np.nanmean(reward[0]))
    # As if four of the eight had not gained: their own noise stays, and only their mean goes back.
    idle = {run.id: f"idle-{run.id}" for run in runs[:4]}
    more = rows[rows["checkpoint"].isin(idle)].copy()
    more["checkpoint"] = more["checkpoint"].map(idle)
    more.loc[more["scorer"] == "true_taste", "value"] -= gain
    checkpoints = (*table.checkpoints, *(replace(run, id=idle[run.id]) for run in runs[:4]))
    whole = replace(table, rows=pd.concat([rows, more], ignore_index=True), checkpoints=checkpoints)
    verdict = gate_methods(whole, [run.id for run in runs], list(idle.values()), ["true_taste"])
    assert 0 < verdict.findings[0].margin <= min(1.1 * gain, default_margin(reward[0]))
    assert verdict.outcome != "pass"
    wide = gate_methods(
        whole, [run.id for run in runs], list(idle.values()), ["true_taste"], margins={"true_taste": 2 * gain}
    )
    assert wide.outcome == "pass"


@pytest.mark.parametrize("name", ["reverse_kl", "jensen_shannon"])
def test_the_base_model_as_a_candidate_is_a_regression_in_taste_alone(name: str) -> None:
    """Runs whose images are the base model's: nothing was learnt, and nothing is lost but the gain."""
    table = read_score_table(find_baseline(name))
    runs = trained(table)
    base = table.rows[table.rows["checkpoint"] == "base"]
    idle = [replace(run, id=f"idle-{run.id}") for run in runs[:4]]
    rows = [table.rows, *(base.assign(checkpoint=run.id) for run in idle)]
    whole = replace(table, rows=pd.concat(rows, ignore_index=True), checkpoints=(*table.checkpoints, *idle))
    verdict = gate_methods(whole, [run.id for run in runs], [run.id for run in idle], SCORERS)
    assert {f.scorer: f.outcome for f in verdict.findings} == {
        **dict.fromkeys(SCORERS, "pass"),
        "true_taste": "regression",
    }
