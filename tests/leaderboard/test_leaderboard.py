"""Laws of the leaderboard: what it says about rows whose truth is known."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from benchmark.core.errors import MissingFileError, NotComparableError, UnknownNameError, UnreadableFileError
from benchmark.core.records import (
    Checkpoint,
    Leaderboard,
    LeaderboardCell,
    LeaderboardRow,
    ScorerColumn,
    ScoreRow,
)
from benchmark.core.store import write_scores
from benchmark.leaderboard import (
    ScoreTable,
    build_leaderboard,
    first_difference,
    join_tables,
    read_score_table,
    rows_to_frame,
    write_score_table,
)
from benchmark.leaderboard.score_arrays import cells_of, failed_of
from benchmark.stats.p_values import holm, sign_flip_p
from tools.simulated_tables import CHECKPOINTS, COLUMNS, EFFECTS, simulated_table


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    return simulated_table(n_prompts=60, images_per_prompt=3)


@pytest.fixture(scope="module")
def leaderboard(table: ScoreTable) -> Leaderboard:
    return build_leaderboard([table], resamples=500)


def cell(leaderboard: Leaderboard, checkpoint: str, scorer: str) -> LeaderboardCell:
    (found,) = [c for c in row(leaderboard, checkpoint).cells if c.scorer == scorer]
    return found


def row(leaderboard: Leaderboard, checkpoint: str) -> LeaderboardRow:
    (found,) = [r for r in leaderboard.rows if r.checkpoint.id == checkpoint]
    return found


def changed(table: ScoreTable, where: pd.Series, **values: Any) -> ScoreTable:
    rows = table.rows.copy()
    for name, value in values.items():
        rows[name] = rows[name].mask(where, value)
    return dataclasses.replace(table, rows=rows)


def select(table: ScoreTable, checkpoint: str, scorer: str) -> pd.Series:
    return (table.rows["checkpoint"] == checkpoint) & (table.rows["scorer"] == scorer)


# --- numbers ------------------------------------------------------------------------------------


def test_means_differences_and_win_rates_are_those_of_the_rows(
    table: ScoreTable, leaderboard: Leaderboard
) -> None:
    wide = table.rows[table.rows["scorer"] == "hps"].pivot_table(
        index=["prompt_id", "seed"], columns="checkpoint", values="value"
    )
    for checkpoint in ("sft", "dpo", "jsd", "rpo"):
        found = cell(leaderboard, checkpoint, "hps")
        lead = wide[checkpoint] - wide["base"]
        assert found.mean == pytest.approx(wide[checkpoint].mean())
        assert found.difference == pytest.approx(lead.mean())
        assert found.winrate == pytest.approx((lead > 0).mean())
        assert found.n == 180


def test_intervals_hold_the_truth_and_paired_ones_are_shorter(leaderboard: Leaderboard) -> None:
    for column in leaderboard.columns:
        truth = dict(zip([c.id for c in CHECKPOINTS], EFFECTS[column.name], strict=True))
        for r in leaderboard.rows:
            found = cell(leaderboard, r.checkpoint.id, column.name)
            assert found.mean is not None
            assert found.lo is not None
            assert found.hi is not None
            assert found.lo < found.mean < found.hi
            if r.checkpoint.id == "base":
                continue
            assert found.difference_lo is not None
            assert found.difference_hi is not None
            width = found.difference_hi - found.difference_lo
            assert width < found.hi - found.lo
            # 20 intervals of 95 %: one miss is no surprise, a miss by a whole width is.
            assert found.difference_lo - width < truth[r.checkpoint.id] - truth["base"]
            assert truth[r.checkpoint.id] - truth["base"] < found.difference_hi + width


def test_p_values_are_holm_adjusted_over_the_checkpoints_within_a_scorer(
    table: ScoreTable, leaderboard: Leaderboard
) -> None:
    wide = (
        table.rows[table.rows["scorer"] == "clip"]
        .groupby(["prompt_id", "checkpoint"])["value"]
        .mean()
        .unstack()
    )
    others = ["sft", "dpo", "jsd", "rpo"]
    raw = sign_flip_p((wide[others].to_numpy() - wide[["base"]].to_numpy()), flips=10_000)
    got = [cell(leaderboard, checkpoint, "clip").p_value for checkpoint in others]
    np.testing.assert_allclose(np.array(got, dtype=float), holm(raw))


def test_the_reference_is_not_compared_with_itself(leaderboard: Leaderboard) -> None:
    assert leaderboard.reference == "base"
    for found in row(leaderboard, "base").cells:
        assert found.difference is None
        assert found.p_value is None
        assert found.winrate is None


def test_directions_decide_groups(leaderboard: Leaderboard) -> None:
    assert cell(leaderboard, "dpo", "pickscore").group == 1
    assert cell(leaderboard, "base", "pickscore").group != 1
    assert cell(leaderboard, "base", "fid").group == 1
    assert cell(leaderboard, "dpo", "fid").group != 1


def test_a_scorer_turned_round_turns_groups_and_win_rates_round(
    table: ScoreTable, leaderboard: Leaderboard
) -> None:
    """The same numbers under "lower is better": only what depends on the direction changes."""
    columns = tuple(dataclasses.replace(c, higher_is_better=not c.higher_is_better) for c in table.columns)
    turned = build_leaderboard([dataclasses.replace(table, columns=columns)], resamples=500)
    assert cell(turned, "base", "pickscore").group == 1
    assert cell(turned, "dpo", "pickscore").group != 1
    assert cell(turned, "dpo", "fid").group == 1
    before, after = cell(leaderboard, "dpo", "pickscore"), cell(turned, "dpo", "pickscore")
    assert before.winrate is not None
    assert after.winrate == pytest.approx(1 - before.winrate)
    assert (after.mean, after.difference, after.p_value) == (before.mean, before.difference, before.p_value)


def test_win_rates_exist_for_image_level_scorers_only(leaderboard: Leaderboard) -> None:
    assert cell(leaderboard, "dpo", "true_diversity").winrate is None
    assert cell(leaderboard, "dpo", "fid").winrate is None
    assert cell(leaderboard, "dpo", "clip").winrate is not None


def test_it_is_a_pure_function_whatever_the_order_of_the_rows(
    table: ScoreTable, leaderboard: Leaderboard
) -> None:
    shuffled = dataclasses.replace(table, rows=table.rows.sample(frac=1, random_state=0))
    assert build_leaderboard([shuffled], resamples=500) == leaderboard


def test_another_reference_turns_the_difference_round(table: ScoreTable, leaderboard: Leaderboard) -> None:
    other = build_leaderboard([table], reference="dpo", resamples=500)
    one, two = cell(leaderboard, "dpo", "hps"), cell(other, "base", "hps")
    assert one.difference is not None
    assert two.difference == pytest.approx(-one.difference)
    with pytest.raises(UnknownNameError, match="did you mean dpo"):
        build_leaderboard([table], reference="dpp")


def test_sizes_are_counted(leaderboard: Leaderboard) -> None:
    assert {(r.n_prompts, r.n_images, r.n_missing) for r in leaderboard.rows} == {(60, 180, 0)}
    only_prompts = simulated_table(columns=COLUMNS[3:4], n_prompts=30, images_per_prompt=4)
    assert {(r.n_prompts, r.n_images) for r in build_leaderboard([only_prompts], resamples=99).rows} == {
        (30, 120)
    }


def test_one_checkpoint_alone_has_means_and_nothing_to_compare() -> None:
    alone = simulated_table(checkpoints=CHECKPOINTS[2:3], n_prompts=30)
    (only,) = build_leaderboard([alone], resamples=99).rows
    assert only.checkpoint.id == "dpo"
    for found in only.cells:
        assert found.mean is not None
        assert found.group is None
        assert found.p_value is None


# --- missing data -------------------------------------------------------------------------------


def test_few_gaps_are_counted_and_compared_on_common_cells(table: ScoreTable) -> None:
    rows = select(table, "dpo", "clip") & (table.rows["prompt_id"] == "p007") & (table.rows["seed"] == 1)
    gap = changed(table, rows, value=np.nan, status="error", note="boom")
    found = build_leaderboard([gap], resamples=99)
    assert cell(found, "dpo", "clip").n_missing == 1
    assert row(found, "dpo").n_missing == 1
    assert row(found, "dpo").ranked
    assert cell(found, "dpo", "clip").group is not None
    wide = table.rows[table.rows["scorer"] == "clip"].set_index(["prompt_id", "seed", "checkpoint"])["value"]
    lead = (wide.unstack()["dpo"] - wide.unstack()["base"]).drop(("p007", 1))
    assert cell(found, "dpo", "clip").difference == pytest.approx(lead.groupby("prompt_id").mean().mean())


def test_an_absent_row_is_a_missing_row(table: ScoreTable) -> None:
    rows = select(table, "dpo", "clip") & (table.rows["prompt_id"] == "p007")
    with_status = changed(table, rows, value=np.nan, status="error", note="boom")
    absent = dataclasses.replace(table, rows=table.rows[~rows])
    assert build_leaderboard([absent], resamples=99) == build_leaderboard([with_status], resamples=99)


def test_above_one_percent_missing_a_checkpoint_is_not_ranked(table: ScoreTable) -> None:
    rows = select(table, "dpo", "clip") & table.rows["prompt_id"].isin(["p007", "p008"])
    found = build_leaderboard([changed(table, rows, value=np.nan, status="error", note="boom")], resamples=99)
    assert cell(found, "dpo", "clip").group is None
    assert cell(found, "dpo", "clip").note == "not ranked: 3.3 % missing"
    assert cell(found, "dpo", "clip").difference is not None
    assert cell(found, "jsd", "clip").group is not None
    assert row(found, "dpo").ranked
    images = (table.rows["checkpoint"] == "dpo") & table.rows["prompt_id"].isin(["p007", "p008"])
    found = build_leaderboard(
        [changed(table, images, value=np.nan, status="error", note="boom")], resamples=99
    )
    assert not row(found, "dpo").ranked
    assert row(found, "jsd").ranked


def test_an_order_that_gaps_could_change_is_marked(table: ScoreTable) -> None:
    """All clip effects are within noise, so that one gap can turn some order."""
    rows = select(table, "dpo", "clip") & (table.rows["prompt_id"] == "p007") & (table.rows["seed"] == 1)
    close = changed(table, select(table, "dpo", "clip"), value=table.rows["value"])
    close = changed(close, rows, value=np.nan, status="error", note="boom")
    base = close.rows[select(close, "base", "clip")].set_index(["prompt_id", "seed"])["value"]
    mine = select(close, "dpo", "clip") & close.rows["value"].notna()
    key = pd.MultiIndex.from_frame(close.rows.loc[mine, ["prompt_id", "seed"]])
    close.rows.loc[mine, "value"] = base.reindex(key).to_numpy() + 1e-4
    found = build_leaderboard([close], resamples=99)
    assert "order could change" in cell(found, "dpo", "clip").note
    assert row(found, "dpo").note == "order could change with the missing rows: clip"


def test_a_checkpoint_without_any_value_is_shown_without_numbers(table: ScoreTable) -> None:
    rows = select(table, "rpo", "hps")
    found = build_leaderboard([changed(table, rows, value=np.nan, status="error", note="boom")], resamples=99)
    empty = cell(found, "rpo", "hps")
    assert (empty.mean, empty.lo, empty.difference, empty.p_value, empty.winrate) == (None,) * 5
    assert empty.n_missing == 180
    assert cell(found, "dpo", "hps").group is not None


def test_a_set_metric_without_enough_images_keeps_its_reason(table: ScoreTable) -> None:
    rows = select(table, "rpo", "fid")
    note = "missing: n < 5d"
    found = build_leaderboard([changed(table, rows, value=np.nan, status="missing", note=note)], resamples=99)
    assert cell(found, "rpo", "fid").mean is None
    assert cell(found, "rpo", "fid").note == note
    assert cell(found, "dpo", "fid").p_value is not None


def test_a_set_metric_without_leave_out_rows_has_a_value_and_no_interval(table: ScoreTable) -> None:
    whole = table.rows["prompt_id"].isna() | (table.rows["scorer"] != "fid")
    found = build_leaderboard([dataclasses.replace(table, rows=table.rows[whole])], resamples=99)
    bare = cell(found, "dpo", "fid")
    assert bare.mean is not None
    assert (bare.lo, bare.difference_lo, bare.p_value, bare.group) == (None,) * 4


def bounded(bounds: tuple[float | None, float | None]) -> ScoreTable:
    """Two checkpoints of which nearly all and nearly none of the images are scenes."""
    column = ScorerColumn("scene_rate", "v1", "alignment", "image", True, bounds=bounds)
    rows = [
        ScoreRow(c.id, "scene_rate", "v1", f"p{p:02d}", k, value)
        for c, rare in zip(CHECKPOINTS[:2], (0.0, 1.0), strict=True)
        for p in range(40)
        for k in range(4)
        for value in [rare if (p, k) == (7, 1) else 1 - rare]
    ]
    return ScoreTable(rows_to_frame(rows), "s", "fbench:1.0", CHECKPOINTS[:2], (column,), 40, 4)


def test_an_interval_of_a_mean_ends_where_the_scorer_ends_and_that_of_a_difference_does_not(
    tmp_path: Path,
) -> None:
    write_score_table(bounded((0.0, 1.0)), tmp_path / "scores.parquet")
    within = build_leaderboard([read_score_table(tmp_path)], resamples=500)
    beyond = build_leaderboard([bounded((None, None))], resamples=500)
    half = build_leaderboard([bounded((None, 1.0))], resamples=500)
    full, empty = (cell(within, id_, "scene_rate") for id_ in ("base", "sft"))
    wide_full, wide_empty = (cell(beyond, id_, "scene_rate") for id_ in ("base", "sft"))
    assert (wide_full.hi or 0) > 1
    assert (wide_empty.lo or 0) < 0
    assert (full.lo, full.mean, full.hi) == (wide_full.lo, wide_full.mean, 1.0)
    assert (empty.lo, empty.mean, empty.hi) == (0.0, wide_empty.mean, wide_empty.hi)
    assert cell(half, "sft", "scene_rate").lo == wide_empty.lo
    assert (wide_empty.difference_lo or 0) < -1
    assert dataclasses.replace(empty, lo=wide_empty.lo) == wide_empty


# --- joining ------------------------------------------------------------------------------------


def test_tables_that_share_the_base_join_to_what_one_evaluation_gives(table: ScoreTable) -> None:
    def part(ids: list[str]) -> ScoreTable:
        rows = table.rows[table.rows["checkpoint"].isin(ids)]
        checkpoints = tuple(c for c in table.checkpoints if c.id in ids)
        return dataclasses.replace(table, rows=rows, checkpoints=checkpoints)

    joined = build_leaderboard([part(["base", "sft", "dpo"]), part(["base", "jsd", "rpo"])], resamples=99)
    assert joined.rows == build_leaderboard([table], resamples=99).rows
    shards = [dataclasses.replace(table, rows=table.rows[i::2]) for i in range(2)]
    assert build_leaderboard(shards, resamples=99).rows == joined.rows


def test_different_signatures_are_refused_by_their_first_difference(table: ScoreTable) -> None:
    other = dataclasses.replace(table, signature=table.signature.replace("cfg:3.0", "cfg:5.0"), source="B")
    with pytest.raises(NotComparableError, match="cfg is 3.0 in one and 5.0 in the other"):
        build_leaderboard([table, other])
    assert first_difference(table.signature, table.signature) is None
    assert "another order" in str(first_difference("a:1|b:2", "b:2|a:1"))


def test_two_values_for_one_row_are_refused(table: ScoreTable) -> None:
    rows = select(table, "base", "hps") & (table.rows["prompt_id"] == "p003")
    other = changed(table, rows, value=table.rows["value"] + 0.5)
    with pytest.raises(NotComparableError, match="hps of base at p003/0"):
        join_tables([table, other])


def test_two_checkpoints_under_one_id_are_refused(table: ScoreTable) -> None:
    twin = dataclasses.replace(CHECKPOINTS[2], hyperparameters={"beta": 7.0})
    other = dataclasses.replace(table, checkpoints=(CHECKPOINTS[0], twin))
    with pytest.raises(NotComparableError, match="dpo"):
        join_tables([table, other])


def test_a_value_beats_a_gap_of_the_same_row(table: ScoreTable) -> None:
    rows = select(table, "base", "hps") & (table.rows["prompt_id"] == "p003")
    gap = changed(table, rows, value=np.nan, status="error", note="boom")
    for tables in ([gap, table], [table, gap]):
        assert not join_tables(tables).rows["value"].isna().any()


# --- files --------------------------------------------------------------------------------------


def test_a_table_comes_back_from_its_file(table: ScoreTable, tmp_path: Path) -> None:
    at_home = tuple(dataclasses.replace(c, path=Path("/home/someone")) for c in table.checkpoints)
    write_score_table(dataclasses.replace(table, checkpoints=at_home), tmp_path / "scores.parquet")
    back = read_score_table(tmp_path)
    pd.testing.assert_frame_equal(back.rows, table.rows)
    assert back.checkpoints == table.checkpoints
    assert (back.columns, back.signature, back.suite) == (table.columns, table.signature, table.suite)
    assert b"someone" not in (tmp_path / "scores.parquet").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["scores.parquet"]


def test_a_table_of_before_bounds_were_written_is_read_and_joined(tmp_path: Path) -> None:
    table = bounded((0.0, 1.0))
    path = write_score_table(table, tmp_path / "scores.parquet")
    arrow = pq.read_table(path)
    facts = json.loads(arrow.schema.metadata[b"fbench"])
    del facts["columns"][0]["bounds"]
    pq.write_table(arrow.replace_schema_metadata({b"fbench": json.dumps(facts)}), path)
    old = read_score_table(path)
    assert old.columns == (dataclasses.replace(table.columns[0], bounds=(None, None)),)
    assert join_tables([table, old]).columns == table.columns


def test_files_that_are_no_score_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="fbench eval"):
        read_score_table(tmp_path)
    (tmp_path / "scores.parquet").write_text("hello")
    with pytest.raises(UnreadableFileError):
        read_score_table(tmp_path)
    write_scores(tmp_path / "scores.parquet", [ScoreRow("base", "clip", "v1", "p", 0, 1.0)])
    with pytest.raises(UnreadableFileError, match="score table"):
        read_score_table(tmp_path)


def test_rows_become_a_typed_frame() -> None:
    frame = rows_to_frame(
        [
            ScoreRow("base", "clip", "v1", "p", 0, 1.0),
            ScoreRow("base", "fid", "v1", None, None, None, "missing", "n < 5d"),
        ]
    )
    assert frame["value"].isna().tolist() == [False, True]
    assert frame["seed"].isna().tolist() == [False, True]
    assert frame["prompt_id"].isna().tolist() == [False, True]


def test_it_needs_no_torch_and_no_figures(table: ScoreTable, tmp_path: Path) -> None:
    write_score_table(table, tmp_path / "scores.parquet")
    program = (
        "import sys; from pathlib import Path; from benchmark.leaderboard import *; import benchmark.report;"
        f"build_leaderboard([read_score_table(Path({str(tmp_path)!r}))], resamples=99);"
        "heavy = {'torch', 'scipy.stats', 'matplotlib', 'transformers'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- notes --------------------------------------------------------------------------------------


def test_the_notes_say_what_can_be_seen_and_claimed(leaderboard: Leaderboard) -> None:
    text = "\n".join(leaderboard.notes)
    assert "Minimum detectable difference" in text
    assert "One checkpoint each: no claim about methods." in text
    assert "Exploratory (not declared by the suite): clip, fid." in text


@pytest.mark.parametrize(
    ("base", "seeds", "claim"),
    [
        ("sd15", 1, "One checkpoint each"),
        ("sd15", 3, "Fewer than 5"),
        ("sd15", 5, None),
        ("shapes", 5, "Fewer than 8"),
        ("shapes", 8, None),
    ],
)
def test_claims_about_methods_need_training_seeds(base: str, seeds: int, claim: str | None) -> None:
    # What a run came to makes it no method of its own.
    settings = [{"seed": s, "held_out_loss": 0.7 - s / 100} for s in range(seeds)]
    checkpoints = (
        Checkpoint("base", base),
        *(Checkpoint(f"dpo-{s}", base, "f_dpo", "reverse_kl", own) for s, own in enumerate(settings)),
    )
    columns = (ScorerColumn("hps", "v1", "preference", "image", True),)
    rows = [
        ScoreRow(c.id, "hps", "v1", f"p{p}", 0, float(p + i))
        for i, c in enumerate(checkpoints)
        for p in range(5)
    ]
    table = ScoreTable(rows_to_frame(rows), "s", "fbench:1.0", checkpoints, columns, 5, 1)
    notes = " ".join(build_leaderboard([table], resamples=99).notes)
    assert (claim in notes) if claim else ("no claim" not in notes)


def test_a_number_that_does_not_exist_is_no_failure() -> None:
    rows = [
        ScoreRow("base", "true_diversity", "1", "p0", None, None, "missing", "undefined: one image"),
        *(ScoreRow("base", "true_diversity", "1", f"p{i}", None, 0.5) for i in range(1, 20)),
    ]
    frame = rows_to_frame(rows)
    assert np.isnan(cells_of(frame, ["base"])).sum() == 1
    assert failed_of(frame, ["base"]).sum() == 0
    assert not rows[0].failed
    lost = rows_to_frame(
        [dataclasses.replace(row, note=row.note and "no image: the file is gone") for row in rows]
    )
    assert failed_of(lost, ["base"]).sum() == 1
