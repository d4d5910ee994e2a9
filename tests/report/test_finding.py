"""The finding in a sentence: who gained most, what it lost, and nothing that the numbers do not carry."""

from dataclasses import replace

import pytest

from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell, LeaderboardRow, ScorerColumn
from benchmark.report.finding import finding

TASTE = ScorerColumn("taste", "1", "preference", "image", True, primary=True)
VARIETY = ScorerColumn("variety", "1", "diversity", "prompt", True, primary=True)
ERROR = ScorerColumn("fid", "1", "fidelity", "set", False, primary=True)


def row(checkpoint: Checkpoint, *differences: tuple[float, float] | None, group: int = 2) -> LeaderboardRow:
    """A checkpoint with differences from the base and their p values, taste, variety and error in turn."""
    cells = [
        LeaderboardCell(column.name, 1.0, 0.9, 1.1)
        if both is None
        else LeaderboardCell(column.name, 1.0, 0.9, 1.1, difference=both[0], p_value=both[1], group=group)
        for column, both in zip((TASTE, VARIETY, ERROR), differences, strict=True)
    ]
    return LeaderboardRow(checkpoint, 10, 20, 0, tuple(cells))


def dpo(divergence: str, seed: int = 0) -> Checkpoint:
    return Checkpoint(f"{divergence}-{seed}", "b", "f_dpo", divergence, {"seed": seed})


def board(*rows: LeaderboardRow) -> Leaderboard:
    base = row(Checkpoint("base", "b"), None, None, None)
    return Leaderboard("suite", (base, *rows), (), (TASTE, VARIETY, ERROR), "base")


def test_the_most_gained_and_what_it_lost_are_told_with_their_differences() -> None:
    told = finding(
        board(
            row(dpo("kl"), (0.3, 0.001), (-0.2, 0.01), (2.0, 0.3), group=1),
            row(dpo("js"), (0.2, 0.001), (-0.1, 0.2), (1.0, 0.3)),
        )
    )
    assert told == "f_dpo kl gains the most taste (+0.30 over base) and loses variety (−0.20)."


def test_who_may_be_as_good_is_named() -> None:
    told = finding(
        board(
            row(dpo("kl"), (0.3, 0.001), (-0.2, 0.01), (2.0, 0.01), group=1),
            row(dpo("js"), (0.2, 0.001), (-0.1, 0.2), (1.0, 0.3), group=1),
        )
    )
    assert told == (
        "f_dpo kl gains the most taste (+0.30 over base) and is worse in variety (−0.20) and fid (+2.00); "
        "f_dpo js cannot be told apart from it in taste."
    )


def test_no_gain_beyond_chance_is_no_winner() -> None:
    rows = (row(dpo(name), (0.3, 0.06), (-0.2, p), (0.0, 1.0)) for name, p in (("kl", 0.01), ("js", 0.2)))
    assert finding(board(*rows)) == "None gains taste over base beyond chance; f_dpo kl loses variety."


def test_no_loss_beyond_chance_is_told_as_that() -> None:
    told = finding(board(row(dpo("kl"), (0.3, 0.001), (-0.2, 0.2), (0.1, 1.0))))
    assert told.endswith("(+0.30 over base), with no loss beyond chance of variety (−0.20) and fid (+0.10).")


@pytest.mark.parametrize(("p", "gains"), [(0.01, True), (0.2, False)])
def test_training_seeds_count_as_one_and_only_together(p: float, gains: bool) -> None:
    """One of three seeds that did not gain is enough for no claim about all."""
    rows = (
        row(dpo("kl", seed), (0.1 * (seed + 1), p if seed == 1 else 0.01), (-0.2, 0.01), (0.0, 1.0))
        for seed in range(3)
    )
    told = finding(board(*rows))
    if gains:
        assert told == (
            "f_dpo kl gains the most taste (+0.10 to +0.30 over base) and loses variety (−0.20), "
            "in each of 3 training seeds."
        )
    else:
        assert told.startswith("None gains taste")


def test_nothing_tested_is_no_sentence() -> None:
    """As of methods with too few training seeds: their differences have no p, and stand for no finding."""
    assert finding(board()) == ""
    whole = board(row(dpo("kl"), (0.3, 0.001), (-0.2, 0.01), (2.0, 0.3)))
    untested = [replace(r, cells=tuple(replace(cell, p_value=None) for cell in r.cells)) for r in whole.rows]
    assert finding(replace(whole, rows=tuple(untested))) == ""
    bare = replace(
        whole, columns=whole.columns[1:], rows=tuple(replace(r, cells=r.cells[1:]) for r in whole.rows)
    )
    assert finding(bare) == ""
