"""The hacking index and the breakdown by tag of a table whose truth is known."""

from dataclasses import replace

import pytest

from benchmark.core.records import Gap
from benchmark.leaderboard.by_tag import tag_cells
from benchmark.leaderboard.reward_hacking import reward_hacking_gaps
from benchmark.leaderboard.score_table import ScoreTable
from tools.simulated_tables import simulated_table


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    return simulated_table(n_prompts=40, images_per_prompt=3)


def gaps_of(table: ScoreTable) -> dict[tuple[str, str], Gap]:
    return {(gap.checkpoint, gap.kind): gap for gap in reward_hacking_gaps(table, "base", resamples=300)}


def test_in_domain_scorers_are_compared_with_held_out_ones_of_their_axis(table: ScoreTable) -> None:
    gaps = gaps_of(table)
    # In the simulation pickscore is in-domain for dpo and jsd; hps is the other preference scorer.
    assert set(gaps) == {("dpo", "hacking"), ("jsd", "hacking")}
    dpo = gaps["dpo", "hacking"]
    assert (dpo.gained, dpo.held_out) == ("pickscore", ("hps",))
    assert dpo.lo is not None
    assert dpo.hi is not None
    assert dpo.lo < dpo.value < dpo.hi
    assert dpo.value > gaps["jsd", "hacking"].value


def renamed(table: ScoreTable, names: dict[str, str]) -> ScoreTable:
    columns = tuple(replace(c, name=names.get(c.name, c.name)) for c in table.columns)
    return replace(table, rows=table.rows.replace({"scorer": names}), columns=columns)


def test_the_three_truths_are_told_apart(table: ScoreTable) -> None:
    world = renamed(table, {"hps": "true_reward", "clip": "oracle"})
    gaps = gaps_of(world)
    kinds = {kind for checkpoint, kind in gaps if checkpoint == "dpo"}
    # The truth is no held-out scorer, so nothing is left to compare pickscore with.
    assert kinds == {"proxy gap", "content loss"}
    assert gaps["dpo", "proxy gap"].held_out == ("true_reward",)
    hidden = renamed(table, {"hps": "true_taste", "clip": "true_taste_heldout"})
    assert ("rpo", "taste transfer") in gaps_of(hidden)


def test_content_loss_is_the_fall_of_the_oracle() -> None:
    table = simulated_table(n_prompts=30, images_per_prompt=4)
    only = tuple(c for c in table.columns if c.name == "clip")
    rows = table.rows[table.rows.scorer == "clip"]
    world = renamed(replace(table, columns=only, rows=rows), {"clip": "oracle"})
    lowered = world.rows.copy()
    lowered.loc[lowered.checkpoint == "dpo", "value"] -= 10.0
    plain, lost = gaps_of(world), gaps_of(replace(world, rows=lowered))
    assert lost["dpo", "content loss"].value > plain["dpo", "content loss"].value + 1
    assert lost["sft", "content loss"] == plain["sft", "content loss"]


def test_a_scorer_on_which_the_base_does_not_vary_has_no_unit(table: ScoreTable) -> None:
    flat = table.rows.copy()
    flat.loc[(flat.scorer == "hps") & (flat.checkpoint == "base"), "value"] = 24.0
    within = flat[(flat.scorer == "hps") & (flat.checkpoint == "base")]
    assert within["value"].nunique() == 1
    assert gaps_of(replace(table, rows=flat)) == {}


def test_a_tag_that_all_prompts_have_gives_the_leaderboards_numbers(table: ScoreTable) -> None:
    rows = tag_cells(table, {f"p{i:03d}": ("all",) for i in range(40)}, "base", resamples=200)
    sampled = [c for c in table.columns if c.unit != "set"]
    assert len(rows) == len(sampled) * len(table.checkpoints)
    for row in rows:
        own = table.rows[(table.rows.scorer == row.scorer) & (table.rows.checkpoint == row.checkpoint)]
        assert row.mean == pytest.approx(own.groupby("prompt_id")["value"].mean().mean())
        assert row.n_prompts == 40
        assert (row.difference is None) == (row.checkpoint == "base")


def test_a_prompt_counts_under_each_of_its_tags(table: ScoreTable) -> None:
    tags = {"p000": ("count", "colour"), "p001": ("colour",), "p002": ("colour",), "unknown": ("never",)}
    rows = tag_cells(table, tags, "base", resamples=100)
    assert list(dict.fromkeys(row.tag for row in rows)) == ["colour", "count"]
    assert {row.n_prompts for row in rows if row.tag == "colour"} == {3}
    one = next(row for row in rows if row.tag == "count" and row.scorer == "clip")
    assert one.n_prompts == 1
    assert (one.difference, one.lo, one.hi) == (None, None, None)
    dpo = next(row for row in rows if (row.tag, row.checkpoint) == ("count", "dpo"))
    assert dpo.difference is not None
    assert (dpo.lo, dpo.hi) == (None, None)


def test_a_table_of_set_metrics_has_no_tags(table: ScoreTable) -> None:
    only = replace(table, columns=tuple(c for c in table.columns if c.unit == "set"))
    assert tag_cells(only, {"p000": ("t",)}, "base") == ()
