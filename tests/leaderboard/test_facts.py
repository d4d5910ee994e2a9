"""Cost and tags: they travel with the rows, and decide nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmark.core import resources
from benchmark.core.errors import UserError
from benchmark.core.records import Cost, ScorerColumn
from benchmark.core.store import read_json
from benchmark.leaderboard import build_leaderboard, join_tables, read_score_table, write_score_table
from benchmark.leaderboard.score_table import ScoreTable
from tools.simulated_tables import simulated_table


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    made = simulated_table(n_prompts=8, images_per_prompt=2)
    return replace(
        made,
        costs={"base": Cost(eval_seconds=3.0), "dpo": Cost(12.0, 3.5, 0.5)},
        tags={"p000": ("count", "style: sketch"), "p001": ("count",), "p002": ()},
    )


def test_they_come_back_from_the_file_and_reach_the_rows(table: ScoreTable, tmp_path: Path) -> None:
    again = read_score_table(write_score_table(table, tmp_path / "scores.parquet"))
    assert (again.costs, again.tags) == (table.costs, table.tags)
    board = build_leaderboard([again], resamples=50, tags=True)
    costs = {row.checkpoint.id: row.cost for row in board.rows}
    assert costs["dpo"] == Cost(12.0, 3.5, 0.5)
    assert costs["rpo"] == Cost()
    assert [cell.n_prompts for cell in board.by_tag if (cell.scorer, cell.checkpoint) == ("hps", "dpo")] == [
        2,
        1,
    ]


def test_files_of_before_them_are_read(table: ScoreTable, tmp_path: Path) -> None:
    path = write_score_table(table, tmp_path / "scores.parquet")
    arrow = pq.read_table(path)
    facts = json.loads(arrow.schema.metadata[b"fbench"])
    del facts["costs"], facts["tags"]
    pq.write_table(arrow.replace_schema_metadata({b"fbench": json.dumps(facts)}), path)
    old = read_score_table(path)
    assert (old.costs, old.tags) == ({}, {})
    with pytest.raises(UserError, match="no prompt of these evaluations has a tag"):
        build_leaderboard([old], tags=True)
    # What a table does not know is taken from the one that does.
    joined = join_tables([old, table])
    assert (joined.costs, joined.tags) == (table.costs, table.tags)


def test_another_cost_is_no_difference_and_the_first_is_taken(table: ScoreTable) -> None:
    slower = replace(table, costs={"base": Cost(eval_seconds=9.0), "sft": Cost(1.0)})
    joined = join_tables([table, slower])
    assert joined.costs == {**table.costs, "sft": Cost(1.0)}
    one, two = (build_leaderboard([t], resamples=50) for t in (table, slower))
    assert [row.cells for row in one.rows] == [row.cells for row in two.rows]
    assert one.signature == two.signature


def test_gains_are_over_the_base_model_whatever_the_reference(table: ScoreTable) -> None:
    assert [table.base("dpo"), table.base("base")] == ["base", "base"]
    trained = replace(
        table, checkpoints=table.checkpoints[1:], rows=table.rows[table.rows.checkpoint != "base"]
    )
    assert trained.base("sft") is None
    assert build_leaderboard([trained], resamples=50).gaps == ()
    both = (build_leaderboard([table], reference=r, resamples=50).gaps for r in ("base", "dpo"))
    assert next(both) == next(both) != ()


def test_each_table_knows_its_own_in_domain_checkpoints(table: ScoreTable) -> None:
    def knowing(*ids: str) -> ScoreTable:
        return replace(table, columns=tuple(replace(column, in_domain=ids) for column in table.columns))

    ours, theirs = (table.checkpoints[i].id for i in (1, 2))
    joined = join_tables([knowing(ours), knowing(theirs, ours)])
    assert {column.in_domain for column in joined.columns} == {(ours, theirs)}


def test_toy_models_of_before_they_were_marked_are_told_by_their_version(tmp_path: Path) -> None:
    golden = read_json(resources.shapes_data("conformance") / "expected.json")
    clip = next(scores["version"] for call, scores in golden.items() if call.startswith("clip("))
    oracle = golden["oracle"]["version"]
    known = {"clip": (clip, True), "hps": (clip, False), "oracle": (oracle, False), "entropy": ("1", False)}
    columns = tuple(
        ScorerColumn(name, version, "alignment", "image", True) for name, (version, _) in known.items()
    )
    half = ScorerColumn("clip", clip.replace("@", "+bf16@"), "alignment", "image", True)
    for marked, version in ((True, 2), (False, 1)):
        path = write_score_table(
            replace(simulated_table(n_prompts=4), columns=(*columns, half)), tmp_path / f"{version}.parquet"
        )
        if not marked:
            arrow = pq.read_table(path)
            facts = json.loads(arrow.schema.metadata[b"fbench"])
            for column in facts["columns"]:
                del column["embedded"]
            facts["version"] = version
            pq.write_table(arrow.replace_schema_metadata({b"fbench": json.dumps(facts)}), path)
        told = [column.embedded for column in read_score_table(path).columns]
        assert told == ([False] * 5 if marked else [*(toy for _, toy in known.values()), True])
