"""The style study: what it asks, whom it trains, what its sheets show."""

from pathlib import Path

import pandas as pd
import pytest

from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell, LeaderboardRow, ScorerColumn
from benchmark.leaderboard import ScoreTable
from benchmark.prompt_sets import load_prompt_set, read_prompt_file
from tools.studies import styles


def _board(**differences: tuple[float, float, float]) -> Leaderboard:
    """A base and one policy, with (difference, lo, hi) by scorer."""
    rows = []
    for name in ("base", "policy"):
        cells = tuple(
            LeaderboardCell(scorer, mean=1.0)
            if name == "base"
            else LeaderboardCell(scorer, mean=1 + d, difference=d, difference_lo=lo, difference_hi=hi)
            for scorer, (d, lo, hi) in differences.items()
        )
        rows.append(LeaderboardRow(Checkpoint(name, "shapes"), 60, 480, 0, cells))
    columns = tuple(ScorerColumn(s, "1", "style", "image", True) for s in differences)
    return Leaderboard("set", tuple(rows), (), columns, reference="base")


@pytest.mark.parametrize(
    ("scorer", "found", "passed"),
    [
        ("style_fd", (-2.0, -3.0, -1.0), True),
        ("style_fd", (-2.0, -4.5, 0.5), False),
        ("style_cosine", (0.02, 0.01, 0.03), True),
        ("style_cosine", (0.02, -0.01, 0.05), False),
        ("oracle", (-0.005, -0.015, 0.005), True),
        ("oracle", (-0.005, -0.025, 0.015), False),
        ("scene_rate", (-0.5, -0.6, -0.4), None),
    ],
)
def test_what_is_asked(scorer: str, found: tuple[float, float, float], passed: bool | None) -> None:
    (finding,) = styles.judge("winter", _board(**{scorer: found}))
    assert finding.passed is passed
    assert (finding.style, finding.checkpoint, finding.base, finding.difference) == (
        "winter", "policy", 1.0, found[0],
    )  # fmt: skip
    page = styles.markdown([finding])
    assert ("✗ |" in page) == (passed is False)
    asked = 0 if passed is None else 1
    assert f"**{int(bool(passed))} of {asked} of what is asked holds.**" in page


def test_every_style_has_its_two_recipes(tmp_path: Path) -> None:
    for style in styles.STYLES:
        for objective, name in zip(styles.OBJECTIVES, ("f_dpo", "rpo"), strict=True):
            run = styles.run_config(style, objective, tmp_path)
            assert (run.objective, run.data) == (name, f"shapes-style-{style}")


def test_every_prompt_asks_for_the_style(tmp_path: Path) -> None:
    config = styles.eval_config("sketch", ["base"], tmp_path, 4)
    asked = read_prompt_file(Path(config.prompts))
    assert [p.text for p in asked] == [p.text for p in load_prompt_set(styles.PROMPTS)]
    assert {p.style for p in asked} == {"sketch"}


def test_sheets_show_what_moved_most() -> None:
    gains = {"a": 0.1, "b": 0.5, "c": -0.2, "d": 0.3}
    rows = [
        {"checkpoint": who, "scorer": scorer, "prompt_id": prompt, "seed": k, "value": value}
        for prompt, gain in gains.items()
        for k in (0, 1)
        for who, value in (("base", 0.0), ("one", gain + k), ("two", gain - k))
        for scorer in ("style_cosine", "oracle")
    ]
    checkpoints = tuple(Checkpoint(name, "shapes") for name in ("base", "one", "two"))
    table = ScoreTable(pd.DataFrame(rows), "set", "signature", checkpoints, (), 4, 2)
    assert styles.most_moved(table, 3) == ["b", "d", "a"]
