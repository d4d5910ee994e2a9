"""What a view shows: another choice of rows and columns, never other numbers."""

from dataclasses import replace

import pytest

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint, Cost, Leaderboard
from benchmark.leaderboard import build_leaderboard
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.leaderboard.view import View, build_view, matching, view_of
from tools.simulated_tables import simulated_table

COSTS = {"dpo": Cost(30.0, 5.0, 1.0), "jsd": Cost(10.0), "rpo": Cost(20.0, 7.0)}


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    made = simulated_table(n_prompts=40, images_per_prompt=2)
    prompts = sorted(made.rows["prompt_id"].dropna().unique())
    return replace(made, costs=COSTS, tags=dict.fromkeys(prompts, ("all",)))


@pytest.fixture(scope="module")
def board(table: ScoreTable) -> Leaderboard:
    return build_leaderboard([table], resamples=99, tags=True)


def ids(board: Leaderboard) -> list[str]:
    return [row.checkpoint.id for row in board.rows]


def test_a_view_of_everything_is_the_leaderboard(board: Leaderboard) -> None:
    assert view_of(board, View()) == board


def test_rows_that_are_shown_keep_their_numbers_and_a_note_says_so(board: Leaderboard) -> None:
    seen = view_of(board, View(where=("objective=f_dpo",)))
    assert ids(seen) == ["base", "dpo", "jsd"]
    by_id = {row.checkpoint.id: row for row in board.rows}
    assert all(row == by_id[row.checkpoint.id] for row in seen.rows)
    assert seen.notes[:-1] == board.notes
    assert "3 of 5 checkpoints are shown (objective=f_dpo, and base)" in seen.notes[-1]
    for plane in seen.planes:
        assert [point.checkpoint for point in plane.points] == ["base", "dpo", "jsd"]
    assert {cell.checkpoint for cell in seen.by_tag} == {"base", "dpo", "jsd"}


def test_columns_that_are_shown_keep_their_numbers_and_decide_the_signature(board: Leaderboard) -> None:
    seen = view_of(board, View(scorers=("hps", "true_diversity")))
    assert [column.name for column in seen.columns] == ["hps", "true_diversity"]
    assert [[cell.scorer for cell in row.cells] for row in seen.rows] == [["hps", "true_diversity"]] * 5
    assert seen.rows[2].cells[0] == board.rows[2].cells[1]
    assert [(plane.across, plane.upward) for plane in seen.planes] == [("true_diversity", "hps")]
    # Hacking is a gain on pickscore, which is hidden.
    assert seen.gaps == ()
    assert "pickscore" not in seen.signature
    assert "hps:" in seen.signature
    assert not any("pickscore" in note for note in seen.notes)
    # Where it is shown, the scorer that it is held against belongs to what the number depends on.
    assert "hps:" in view_of(board, View(scorers=("pickscore",))).signature


def test_scorers_are_chosen_by_axis_and_by_the_suites_word(board: Leaderboard) -> None:
    names = [column.name for column in view_of(board, View(axes=("preference", "fidelity"))).columns]
    assert names == ["pickscore", "hps", "fid"]
    assert [c.name for c in view_of(board, View(primary=True)).columns] == [
        column.name for column in board.columns if column.primary
    ]
    with pytest.raises(UserError, match="no scorer is left"):
        view_of(board, View(axes=("fidelity",), primary=True))


@pytest.mark.parametrize(("key", "falling"), [("hps", True), ("-hps", False), ("fid", False), ("-fid", True)])
def test_sorting_by_a_scorer_puts_its_best_first(board: Leaderboard, key: str, falling: bool) -> None:
    seen = view_of(board, View(sort=key))
    means = [cell.mean for row in seen.rows for cell in row.cells if cell.scorer == key.removeprefix("-")]
    assert None not in means
    assert means == sorted(means, key=float, reverse=falling)  # type: ignore[arg-type]
    assert set(seen.rows) == set(board.rows)


@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("id", ["base", "dpo", "jsd", "rpo", "sft"]),
        ("train_seconds", ["jsd", "rpo", "dpo", "base", "sft"]),
        ("-train_seconds", ["dpo", "rpo", "jsd", "base", "sft"]),
        ("step", ["base", "sft", "dpo", "jsd", "rpo"]),
    ],
)
def test_sorting_by_a_fact_puts_the_least_first_and_the_unknown_last(
    board: Leaderboard, key: str, order: list[str]
) -> None:
    assert ids(view_of(board, View(sort=key))) == order


def test_a_hidden_scorer_can_still_sort(board: Leaderboard) -> None:
    assert ids(view_of(board, View(sort="hps", scorers=("clip",)))) == ids(view_of(board, View(sort="hps")))


RUNS = (
    Checkpoint("base", "sd15"),
    Checkpoint("kl-1", "sd15", "f_dpo", "reverse_kl", {"beta": 1.0, "seed": 0}, 100),
    Checkpoint("kl-2", "sd15", "f_dpo", "reverse_kl", {"beta": 0.1, "seed": 1}, 200),
    Checkpoint("alpha", "sd15", "f_dpo", "alpha(a=0.5, knee=10.0)", {"beta": 1.0, "lora_rank": "full"}, 200),
    Checkpoint("rpo", "sd15", "rpo", None, {"beta": 10.0}, 200),
)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (["id=kl-*"], ["kl-1", "kl-2"]),
        (["divergence=alpha*|none"], ["base", "alpha", "rpo"]),
        (["divergence=alpha(a=0.5, knee=10.0)"], ["alpha"]),
        (["beta=1"], ["kl-1", "alpha"]),
        (["beta<=1", "beta > 0.1"], ["kl-1", "alpha"]),
        (["objective!=f_dpo"], ["base", "rpo"]),
        (["lora_rank=full"], ["alpha"]),
        (["seed>=1"], ["kl-2"]),
        (["step=100|0"], ["base", "kl-1"]),
        ([], ["base", "kl-1", "kl-2", "alpha", "rpo"]),
    ],
)
def test_conditions_choose_checkpoints(where: list[str], found: list[str]) -> None:
    assert matching(RUNS, where) == found


def test_conditions_that_are_none_are_refused() -> None:
    with pytest.raises(UserError, match="'beta' is no condition; allowed: KEY=VALUE"):
        matching(RUNS, ["beta"])
    with pytest.raises(UnknownNameError, match="did you mean divergence"):
        matching(RUNS, ["divergense=x"])
    with pytest.raises(UserError, match="a number after"):
        matching(RUNS, ["beta<much"])
    with pytest.raises(UserError, match=r"no checkpoint has beta=7; allowed: none, 1.0, 0.1, 10.0$"):
        matching(RUNS, ["step=100", "beta=7"])
    with pytest.raises(UserError, match=f"no checkpoint has beta=1 and beta=10; allowed: {RUNS[0].id}, "):
        matching(RUNS, ["beta=1", "beta=10"])


@pytest.mark.parametrize("view", [View(sort="hpss"), View(scorers=("hpss",)), View(axes=("preferense",))])
def test_unknown_names_are_refused(board: Leaderboard, view: View) -> None:
    with pytest.raises(UnknownNameError, match="did you mean (hps|preference)"):
        view_of(board, view)


def test_a_retest_is_as_if_the_others_had_not_been_evaluated(table: ScoreTable) -> None:
    view = View(where=("objective=rpo|sft",), retest=True)
    tested = build_view([table], view)
    kept = {"base", "sft", "rpo"}
    alone = replace(
        table,
        checkpoints=tuple(c for c in table.checkpoints if c.id in kept),
        rows=table.rows[table.rows.checkpoint.isin(kept)],
    )
    expected = build_leaderboard([alone])
    assert tested.rows == expected.rows
    assert tested.planes == expected.planes
    assert tested.notes[:-1] == expected.notes
    assert tested.notes[-1].startswith("3 of 5 checkpoints were tested (objective=rpo|sft, and base)")
    # Shown only, the same rows keep the groups and p values of all five.
    shown = build_view([table], replace(view, retest=False))
    assert [row.cells[1].mean for row in shown.rows] == [row.cells[1].mean for row in tested.rows]
    assert shown.rows != tested.rows
