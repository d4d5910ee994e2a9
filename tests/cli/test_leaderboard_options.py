"""What of a leaderboard is shown, from the command line."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from benchmark.leaderboard import write_score_table
from tools.simulated_tables import CHECKPOINTS, simulated_table

Fbench = Callable[..., Result]


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = simulated_table(n_prompts=10, images_per_prompt=2)
    tags = {f"p{i:03d}": ("even",) if i % 2 == 0 else ("odd",) for i in range(10)}
    return write_score_table(replace(table, tags=tags), tmp_path_factory.mktemp("eval") / "scores.parquet")


def test_rows_and_columns_are_chosen_and_sorted(fbench: Fbench, scores: Path) -> None:
    words = ("--where", "objective=f_dpo", "--scorers", "hps, clip", "--sort", "-id", "--json")
    board = json.loads(fbench("leaderboard", scores, *words).stdout)
    assert [row["checkpoint"]["id"] for row in board["rows"]] == ["jsd", "dpo", "base"]
    assert [column["name"] for column in board["columns"]] == ["hps", "clip"]
    assert "tests, groups, ranks and the front are of all 5" in board["notes"][-2]
    tested = json.loads(fbench("leaderboard", scores, *words, "--retest").stdout)
    assert "were tested" in tested["notes"][-1]
    assert tested["rows"][0]["cells"][0]["mean"] == board["rows"][0]["cells"][0]["mean"]
    assert tested["rows"][0]["cells"][0]["p_value"] <= board["rows"][0]["cells"][0]["p_value"]


def test_tags_go_into_every_format_when_asked(fbench: Fbench, scores: Path, tmp_path: Path) -> None:
    asked = ("leaderboard", scores, "--by-tag", "--scorers", "hps")
    for form in ("table", "markdown", "latex"):
        plain = ("--latex", "long") if form == "latex" else ("--format", form)
        assert "by tag" in fbench(*asked, *plain).stdout
        assert "by tag" not in fbench(*asked[:2], *plain).stdout
    cells = json.loads(fbench(*asked, "--json").stdout)["by_tag"]
    assert {(cell["tag"], cell["n_prompts"]) for cell in cells} == {("even", 5), ("odd", 5)}
    done = fbench(*asked, "--output", tmp_path / "board.csv")
    assert done.stdout.splitlines()[1] == f"wrote {tmp_path / 'board-by-tag.csv'}"
    rows = list(csv.DictReader((tmp_path / "board-by-tag.csv").open()))
    assert len(rows) == len(cells) == 10
    assert float(rows[3]["difference"]) == pytest.approx(cells[3]["difference"], rel=1e-6)
    assert rows[0]["difference"] == ""


def test_latex_comes_in_three_forms(fbench: Fbench, scores: Path, tmp_path: Path) -> None:
    for form, sign in (("paper", "{table*}"), ("column", "{table}"), ("long", "{longtable}")):
        written = tmp_path / f"{form}.tex"
        assert fbench("leaderboard", scores, "--latex", form, "--output", written).exit_code == 0
        assert rf"\begin{sign}" in written.read_text()
    assert r"\begin{table*}" in fbench("leaderboard", scores, "--format", "latex").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--retest", "--retest needs --where; say which checkpoints to test"),
        ("--latex long --format csv", "--latex is for latex, and the format is csv"),
        (
            "--latex lonk",
            "unknown form of a LaTeX table 'lonk'; allowed: column, long, paper; did you mean long?",
        ),
        ("--format csv --by-tag", "--by-tag makes a second csv file; name the first: --output table.csv"),
        ("--output x.html --sort hps", "--primary are for tables; open the page"),
        ("--sort hpss", "unknown key to sort by 'hpss'"),
        ("--scorers hpss", "did you mean hps?"),
        ("--axis taste", "unknown axis of this leaderboard 'taste'"),
        ("--where beta", "'beta' is no condition; allowed: KEY=VALUE, or != < <= > >="),
        ("--where id=nobody", "no checkpoint has id=nobody; allowed: base, sft, dpo, jsd, rpo"),
    ],
)
def test_what_makes_no_sense_is_refused(
    refused: Callable[..., str], scores: Path, words: str, told: str
) -> None:
    assert told in refused("leaderboard", scores, *words.split())


def test_tags_that_nobody_wrote_down_are_told(refused: Callable[..., str], tmp_path: Path) -> None:
    table = simulated_table(n_prompts=4, images_per_prompt=1)
    write_score_table(table, tmp_path / "scores.parquet")
    assert "no prompt of these evaluations has a tag" in refused("leaderboard", tmp_path, "--by-tag")


def test_methods_stand_for_their_runs(fbench: Fbench, tmp_path: Path) -> None:
    table = simulated_table(n_prompts=10, images_per_prompt=2)
    runs = [
        replace(c, divergence="reverse_kl", hyperparameters={"seed": s}) for s, c in enumerate(CHECKPOINTS)
    ]
    table = replace(table, checkpoints=(CHECKPOINTS[0], *(replace(r, objective="f_dpo") for r in runs[1:])))
    scores = write_score_table(table, tmp_path / "scores.parquet")
    board = json.loads(fbench("leaderboard", scores, "--by-method", "--scorers", "hps", "--json").stdout)
    assert [row["checkpoint"]["id"] for row in board["rows"]] == ["base", "f-DPO, reverse KL (4 seeds)"]
    assert "no claim about methods" in board["notes"][-2]
    shown = fbench("leaderboard", scores, "--by-method", "--reference", "reverse_kl", "--format", "markdown")
    assert "worse than `f-DPO, reverse KL (4 seeds)`" in shown.stdout
    assert "f-DPO, reverse KL (4 seeds)" in fbench(
        "leaderboard", scores, "--by-method", "--latex", "paper"
    ).stdout.replace(r"\allowbreak{}", "")
    for wrong in (
        ("--retest", "--where", "seed=1"),
        ("--by-tag",),
        ("--frontier", tmp_path, "--json"),
        ("--output", tmp_path / "a.html"),
    ):
        refused = fbench("leaderboard", scores, "--by-method", *wrong)
        assert refused.exit_code == 2
        assert "--by-method" in refused.stderr
    assert "unknown method" in fbench("leaderboard", scores, "--by-method", "--reference", "kl").stderr
