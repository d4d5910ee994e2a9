"""Leaderboards that the exports are tested with."""

import pytest

from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell, LeaderboardRow, ScorerColumn
from benchmark.leaderboard import build_leaderboard
from tools.simulated_tables import simulated_table

NASTY = '50%_a&b#1|2{x}$^~\\`*é中"<y>'


@pytest.fixture(scope="module")
def leaderboard() -> Leaderboard:
    return build_leaderboard([simulated_table(n_prompts=40)], resamples=99)


@pytest.fixture(scope="module")
def nasty() -> Leaderboard:
    """Every text that comes from outside is hostile; one number is missing; a table of two panels."""
    columns = tuple(
        ScorerColumn(f"s{i}_{NASTY}", "v1", "preference", "image", i % 2 == 0, in_domain=("base",))
        for i in range(7)
    )
    checkpoints = (Checkpoint("base", "b"), Checkpoint(NASTY.replace("\\", ""), "b", "f_dpo", "a(b|c)"))
    rows = tuple(
        LeaderboardRow(
            checkpoint,
            4,
            8,
            1,
            (
                LeaderboardCell(columns[0].name, note=f"missing: n < 5d {NASTY}"),
                *(
                    LeaderboardCell(c.name, -1.0, -1.2, -0.8, 0.1, 0.0, 0.2, 0.04, 0.6, 1, 8)
                    for c in columns[1:]
                ),
            ),
            ranked=False,
        )
        for checkpoint in checkpoints
    )
    return Leaderboard(NASTY, rows, (), columns, "base", f"fbench:1.0|set:{NASTY}", (f"note {NASTY}",))
