"""Pair accuracy on tables whose accuracy is known."""

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint, ScorerColumn, ScoreRow
from benchmark.leaderboard import ScoreTable, rows_to_frame, write_score_table
from benchmark.stats.arrays import FloatArray
from tools.studies import scorer_accuracy
from tools.studies.scorer_accuracy import PairAccuracy, pair_accuracies

PROMPTS, K = 60, 8


def make_table(values: dict[tuple[str, str], FloatArray]) -> ScoreTable:
    """A table of values (prompts, k) by checkpoint and scorer; NaN is a missing row."""
    rows = [
        ScoreRow(c, s, "1", f"p{p:03d}", k, None, "missing", "gone")
        if np.isnan(v)
        else ScoreRow(c, s, "1", f"p{p:03d}", k, float(v))
        for (c, s), cells in values.items()
        for (p, k), v in np.ndenumerate(cells)
    ]
    columns = tuple(
        ScorerColumn(s, "1", "preference", "image", True) for s in dict.fromkeys(s for _, s in values)
    )
    made = {"base": Checkpoint("base", "shapes"), "dpo": Checkpoint("dpo", "shapes", "f_dpo")}
    checkpoints = tuple(made[c] for c in dict.fromkeys(c for c, _ in values))
    return ScoreTable(rows_to_frame(rows), "made", "sig", checkpoints, columns, PROMPTS, K)


def only(found: tuple[PairAccuracy, ...], scorer: str, *, trained: bool) -> PairAccuracy:
    (one,) = [a for a in found if (a.scorer, a.trained) == (scorer, trained)]
    return one


@pytest.fixture
def truth() -> FloatArray:
    return np.random.default_rng(0).normal(size=(PROMPTS, K))


def test_perfect_reversed_tied_and_blind_scorers(truth: FloatArray) -> None:
    blind = np.random.default_rng(1).normal(size=truth.shape)
    scores = {"hps": 3 * truth + 100, "clip": -truth, "pickscore": np.ones_like(truth), "imagereward": blind}
    table = make_table({("base", "true_reward"): truth} | {("base", s): v for s, v in scores.items()})
    found = pair_accuracies(table, resamples=500)
    assert [only(found, s, trained=False).accuracy for s in ("hps", "clip", "pickscore")] == [1, 0, 0.5]
    guess = only(found, "imagereward", trained=False)
    assert guess.lo < 0.5 < guess.hi
    assert guess.pairs == PROMPTS * K * (K - 1) // 2
    assert not [a for a in found if a.trained]


def test_the_definition_pair_by_pair(truth: FloatArray) -> None:
    g = np.random.default_rng(2)
    r, s = np.round(truth), np.round(truth + g.normal(size=truth.shape))
    s[3, 2] = r[5, 1] = np.nan
    agreed = [
        0.5 if s[p, i] == s[p, j] else float((s[p, i] > s[p, j]) == (r[p, i] > r[p, j]))
        for p in range(PROMPTS)
        for i, j in combinations(range(K), 2)
        if not np.isnan([s[p, i], s[p, j], r[p, i], r[p, j]]).any() and r[p, i] != r[p, j]
    ]
    measured = only(
        pair_accuracies(make_table({("base", "oracle"): r, ("base", "clip"): s}), resamples=200),
        "clip",
        trained=False,
    )
    assert measured.pairs == len(agreed)
    assert measured.accuracy == pytest.approx(np.mean(agreed))
    assert measured.lo < measured.accuracy < measured.hi


def test_pairs_stay_within_prompt_and_checkpoint_and_prompts_are_the_unit(truth: FloatArray) -> None:
    # Right for half of the prompts and wrong for the others: only the prompts make it uncertain. Offsets
    # between prompts and checkpoints would help a scorer that was compared across them.
    sign = np.where(np.arange(PROMPTS) % 2, 1.0, -1.0)[:, None]
    far = 100.0 * np.arange(PROMPTS)[:, None]
    table = make_table(
        {
            ("base", "true_reward"): truth + far,
            ("base", "hps"): sign * truth + far,
            ("dpo", "true_reward"): truth + far + 1e4,
            ("dpo", "hps"): truth + far + 1e4,
        }
    )
    found = pair_accuracies(table, resamples=2000)
    base, trained = only(found, "hps", trained=False), only(found, "hps", trained=True)
    assert base.accuracy == 0.5
    # Of a share over 60 prompts: 1.96 x 0.5 / sqrt(60); over single pairs it would be 0.024.
    assert base.hi - base.lo == pytest.approx(2 * 0.1265, rel=0.15)
    assert trained.accuracy == 1


def test_the_page_is_written_from_a_file(
    truth: FloatArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {(c, s): truth for c in ("base", "dpo") for s in ("true_reward", "hps")}
    write_score_table(make_table(values), tmp_path / "eval" / "scores.parquet")
    out = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["scorer_accuracy.py", str(tmp_path / "eval"), "--out", str(out)])
    scorer_accuracy.main()
    text = out.read_text()
    assert "| `hps` | `true_reward` | 1.000 [1.000, 1.000] | 1,680† | 1.000 [1.000, 1.000] | 1,680† |" in text
    assert "`python -m tools.studies.scorer_accuracy" in text
    assert "`dpo`" in text


def test_a_table_without_the_truth_is_refused(truth: FloatArray) -> None:
    table = replace(make_table({("base", "hps"): truth}), source="runs/eval")
    with pytest.raises(UserError, match="runs/eval has no truth in it; allowed: true_taste"):
        pair_accuracies(table)
