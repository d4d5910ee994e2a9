"""`fbench frontier`: its plan, its answer, its refusals; and the figure that shows it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Fbench = Callable[..., Result]


@pytest.fixture(scope="module")
def evaluation(fbench: Fbench, world: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base on three prompts, two images each, by two scorers of the user's own."""
    out = tmp_path_factory.mktemp("frontier") / "eval"
    done = fbench(
        "eval", "--base", world["base"], "--prompts", world["prompts"], "--images-per-prompt", 2,
        "--scorers", f"{world['scorers']}:Light,{world['scorers']}:Spread", "--steps", 2, "--batch-size", 4,
        "--precision", "fp32", "--device", "cpu", "--guidance", 2, "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def made(fbench: Fbench, evaluation: Path) -> Path:
    done = fbench(
        "frontier", evaluation, "--by", "light", "--scales", "1,2,4", "--best-of", "2,3", "--device", "cpu"
    )
    assert done.exit_code == 0, done.stderr
    assert "images 30: 6 of the base itself, which the evaluation has; 12 at 2 other" in done.stderr
    for said in ("spread", "guidance: cfg 4", "best of n by light (in-domain): n = 3", "--frontier"):
        assert said in done.stdout
    return evaluation / "frontier"


def test_a_dry_run_says_what_it_costs_and_writes_nothing(fbench: Fbench, evaluation: Path) -> None:
    out = evaluation.parent / "elsewhere"
    shown = fbench("frontier", evaluation, "--by", "light", "--out", out, "--dry-run", "--offline", "--json")
    assert shown.exit_code == 0, shown.stderr
    plan = json.loads(shown.stdout)["plan"]
    assert any("1, 1.5, 2, 2.5, 3, 4, 6" in line for line in plan)
    assert any("images       132: 6 of the base" in line and "best of 16 from" in line for line in plan)
    assert not out.exists()


def test_the_same_command_again_answers_as_json(fbench: Fbench, evaluation: Path, made: Path) -> None:
    again = fbench(
        "frontier", evaluation, "--by", "light", "--scales", "1,2,4", "--best-of", "2,3", "--device", "cpu",
        "--json",
    )  # fmt: skip
    told = json.loads(again.stdout)
    assert told["n_missing"] == 0
    (plane,) = told["planes"]
    assert [f["name"] for f in plane["frontiers"]] == ["guidance", "best of n by light (in-domain)"]
    assert [p["label"] for p in plane["frontiers"][1]["points"]] == ["n = 1", "n = 2", "n = 3"]
    assert {path.name for path in made.iterdir()} == {"manifest.json", "scores.parquet"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no learned preference scorer is among light, spread"),
        (["--by", "spread"], "unit prompt"),
        (["--by", "lihgt"], "unknown scorer"),
        (["--scales", "0.5", "--by", "light"], "at least 1"),
        (["--scales", "two", "--by", "light"], "two"),
        (["--best-of", "32", "--by", "light"], "n is from 2 to 16"),
        (["--scales", "none", "--best-of", "none"], "neither guidance scales nor best of n"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    refused: Callable[..., str], evaluation: Path, words: list[str], said: str
) -> None:
    assert said in refused("frontier", evaluation, *words)


DARK = """
from benchmark.scorers.base import ImageScorer

class Dark(ImageScorer):
    name, axis, weights_hash = "dark", "preference", ""
    def load(self, device="cpu"): ...
    def values(self, shown): return [1 - float(image.mean()) / 255 for image in shown.images]
"""


def test_what_chose_is_what_is_shown_and_named_for_the_figure(
    fbench: Fbench, world: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "dark.py").write_text(DARK)
    mine = f"{world['scorers']}:Light,{world['scorers']}:Spread,{tmp_path / 'dark.py'}:Dark"
    done = fbench(
        "eval", "--base", world["base"], "--prompts", world["prompts"], "--images-per-prompt", 2,
        "--scorers", mine, "--steps", 2, "--precision", "fp32", "--device", "cpu", "--guidance", 2,
        "--out", tmp_path / "eval",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    words = ("--scales", "1", "--best-of", "2", "--device", "cpu")
    by_dark = fbench("frontier", tmp_path / "eval", "--by", "dark", *words)
    assert by_dark.exit_code == 0, by_dark.stderr
    assert by_dark.stdout.split()[:4] == ["spread", "n", "dark", "n"]
    assert by_dark.stdout.rstrip().endswith("--preference dark")
    by_light = fbench("frontier", tmp_path / "eval", "--by", "light", *words)
    assert by_light.stdout.split()[:4] == ["spread", "n", "light", "n"]
    assert by_light.stdout.rstrip().endswith("frontier")


def test_a_folder_that_is_no_evaluation_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "no run of `fbench eval` at" in refused("frontier", tmp_path)
    assert "no run of `fbench eval` at" in refused("frontier", tmp_path / "nowhere", "--dry-run")


def test_a_frontier_is_not_joined_with_its_evaluation(
    refused: Callable[..., str], evaluation: Path, made: Path
) -> None:
    assert "frontier is absent in one" in refused("leaderboard", evaluation, made)


def test_the_trade_off_shows_it(fbench: Fbench, evaluation: Path, made: Path, tmp_path: Path) -> None:
    plain, drawn = tmp_path / "plain.svg", tmp_path / "drawn.svg"
    assert fbench("plot", "trade-off", evaluation, "--output", plain).exit_code == 0
    told = fbench("plot", "trade-off", evaluation, "--frontier", made, "--output", drawn, "--json")
    assert told.exit_code == 0, told.stderr
    plane = json.loads(told.stdout)["plane"]
    assert [point["checkpoint"] for point in plane["points"]] == ["base"]
    assert [f["name"] for f in plane["frontiers"]] == ["guidance", "best of n by light (in-domain)"]
    assert plane["frontiers"][1]["points"][0]["x"] == plane["points"][0]["x"]
    assert drawn.stat().st_size > plain.stat().st_size


def test_the_leaderboard_shows_it_and_ranks_as_before(
    fbench: Fbench, refused: Callable[..., str], evaluation: Path, made: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    assert fbench("leaderboard", evaluation, "--frontier", made, "--output", page).exit_code == 0
    plain, drawn = (
        json.loads(fbench("leaderboard", evaluation, *more, "--json").stdout)
        for more in ((), ("--frontier", made))
    )
    assert [row["checkpoint"] for row in drawn["rows"]] == [row["checkpoint"] for row in plain["rows"]]
    assert plain["rows"] == drawn["rows"]
    assert [f["name"] for f in drawn["planes"][0]["frontiers"]] == [
        "guidance", "best of n by light (in-domain)"
    ]  # fmt: skip
    assert "--frontier is for html and json" in refused("leaderboard", evaluation, "--frontier", made)


def test_what_is_no_frontier_is_refused(
    refused: Callable[..., str], evaluation: Path, made: Path, tmp_path: Path
) -> None:
    words = ("plot", "trade-off", evaluation, "--output", tmp_path / "x.png", "--frontier")
    assert "is no frontier" in refused(*words, evaluation)
    assert "no score table" in refused(*words, tmp_path)


APART = '''
import numpy as np
from benchmark.scorers.base import PromptScorer

class Apart(PromptScorer):
    """How far the mean greys of two images of a prompt are apart."""
    name, axis = "apart", "diversity"
    weights_hash = ""
    def load(self, device="cpu"): ...
    def value(self, shown):
        pairs = self.pair_distances(shown)
        return float(pairs.sum() / (len(pairs) * (len(pairs) - 1)))
    def pair_distances(self, shown):
        grey = np.array([image.mean() / 255 for image in shown.images])
        return np.abs(grey[:, None] - grey)
'''


@pytest.fixture(scope="module")
def paired(fbench: Fbench, world: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base on three prompts by the user's own scorers, one of which says each pair."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "apart.py").write_text(APART)
    mine = f"{world['scorers']}:Light,{world['scorers']}:Spread,{folder / 'apart.py'}:Apart"
    done = fbench(
        "eval", "--base", world["base"], "--prompts", world["prompts"], "--images-per-prompt", 2,
        "--scorers", mine, "--steps", 2, "--batch-size", 4, "--precision", "fp32", "--device", "cpu",
        "--guidance", 2, "--out", folder / "eval",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return folder / "eval"


@pytest.fixture(scope="module")
def optima(fbench: Fbench, paired: Path) -> Path:
    done = fbench(
        "frontier", paired, "--closed-form", "--by", "light", "--pool", 6, "--divergence", "reverse_kl",
        "--divergence", "expr: (u-1)**2/(u+1)", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "images 18 of the base: 6, which the evaluation has; 12 more" in done.stderr
    for said in (
        "40 betas, in units of light",
        "optimum under",
        "expr: (u-1)**2/(u+1)",
        "--frontier",
        "--diversity apart\n",
        "hollow",
    ):
        assert said in done.stdout
    return paired / "closed-form"


def test_a_dry_run_of_the_closed_form_says_what_it_does(fbench: Fbench, paired: Path) -> None:
    words = ("frontier", paired, "--closed-form", "--by", "light", "--dry-run", "--out", paired / "no")
    shown = fbench(*words)
    assert shown.exit_code == 0, shown.stderr
    for said in (
        "reward       light",
        "reverse_kl, squared_hellinger (the line of alpha(a=0.5))",
        "left out     spread",
    ):
        assert said in shown.stdout
    assert "images       48 of the base: 6, which the evaluation has; 42 more" in shown.stdout
    assert not (paired / "no").exists()


def test_optima_answer_as_json_and_stand_in_figures_and_on_the_page(
    fbench: Fbench, refused: Callable[..., str], paired: Path, optima: Path, tmp_path: Path
) -> None:
    again = fbench(
        "frontier", paired, "--closed-form", "--by", "light", "--pool", 6, "--divergence", "reverse_kl",
        "--divergence", "expr: (u-1)**2/(u+1)", "--device", "cpu", "--json",
    )  # fmt: skip
    told = json.loads(again.stdout)
    assert len(told["betas"]) == 40
    assert (told["n_missing"], told["n_dropped"]) == (0, 0)
    plane = told["planes"][0]
    assert (plane["across"], plane["upward"]) == ("apart", "light")
    assert [f["divergence"] for f in plane["frontiers"]] == ["reverse_kl", "expr: (u-1)**2/(u+1)"]
    figure = tmp_path / "drawn.svg"
    words = ("--diversity", "apart", "--preference", "light", "--frontier", optima, "--json")
    drawn = fbench("plot", "trade-off", paired, "--output", figure, *words)
    assert drawn.exit_code == 0, drawn.stderr
    lines = json.loads(drawn.stdout)["plane"]["frontiers"]
    assert [line["reward"] for line in lines] == ["light", "light"]
    assert "optimum reverse_kl" in figure.read_text()
    said = refused("plot", "iso-reward", paired, "--frontier", optima, "--output", tmp_path / "x.png")
    assert "no method of this evaluation has points" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--closed-form", "--scales", "2"], "--closed-form goes without --scales"),
        (["--pool", 8], "--closed-form is needed for --pool"),
        (["--betas", "1,2"], "--closed-form is needed for --betas"),
        (["--closed-form", "--betas", "0"], "a beta is a number above 0"),
        (["--closed-form", "--betas", "much"], "much"),
        (["--closed-form", "--divergence", "reverse_kll"], "reverse_kl"),
        (["--closed-form", "--divergence", "expr: u +"], "expr"),
        (["--closed-form", "--pool", 1], "pool"),
    ],
)
def test_what_the_closed_form_cannot_do_is_refused_in_one_line(
    refused: Callable[..., str], paired: Path, words: list[object], said: str
) -> None:
    assert said in refused("frontier", paired, "--by", "light", *words)
    # What it says to do is what this command takes.
    line = refused("frontier", paired, "--closed-form")
    assert line.endswith("as the reward; name a scorer: --by pickscore")
    assert "unit prompt" in refused("frontier", paired, "--closed-form", "--by", "apart")
