"""ScoreTables -> Leaderboard: a pure function, rebuilt at any time without a GPU or an image."""

from benchmark.leaderboard.build import build_leaderboard
from benchmark.leaderboard.comparability import first_difference, signature_about, signature_line
from benchmark.leaderboard.join import join_tables
from benchmark.leaderboard.score_table import ScoreTable, read_score_table, rows_to_frame, write_score_table

__all__ = [
    "ScoreTable",
    "build_leaderboard",
    "first_difference",
    "join_tables",
    "read_score_table",
    "rows_to_frame",
    "signature_about",
    "signature_line",
    "write_score_table",
]
