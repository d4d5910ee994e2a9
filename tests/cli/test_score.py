"""`fbench score` of several models, and joins of separate runs: names are the user's, sets go by content."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from benchmark.core.manifest import read_manifest
from benchmark.core.store import write_json
from benchmark.evaluate.finished import read_image_sets
from benchmark.leaderboard import read_score_table

Fbench = Callable[..., Result]
Refused = Callable[..., str]

LIGHT = '''
from benchmark.scorers.base import ImageScorer

class Light(ImageScorer):
    """Mean grey."""
    name, axis = "light", "preference"
    weights_hash = ""
    def load(self, device="cpu"): ...
    def values(self, shown): return [float(image.mean()) / 255 for image in shown.images]
'''


def pictures(folder: Path, seed: int, count: int = 6) -> list[str]:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i}.png" for i in range(count)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name)
    return names


def folder_of(folder: Path, seed: int, order: Sequence[int] = range(6), **more: Any) -> Path:
    """Three prompts of two images, whose rows are in some order."""
    names = pictures(folder, seed)
    rows = [{"file_name": names[i], "text": f"a circle {i // 2}", "seed": i % 2, **more} for i in order]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models called alike and not, one in another layout and order, and a separate run of each."""
    place = tmp_path_factory.mktemp("models")
    folder_of(place / "sdxl-1.0", 0)
    folder_of(place / "sdxl-1.1", 1, order=(5, 4, 3, 2, 1, 0))
    folder_of(place / "x" / "images", 2)
    folder_of(place / "y" / "images", 3)
    names = pictures(place / "pictures", 4)
    rows = [
        {"id": f"n{i}", "prompt": f"a circle {i // 2}", "image_path": f"pictures/{name}", "seed": i + 2**63}
        for i, name in enumerate(names)
    ]
    (place / "listed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (place / "mine.py").write_text(LIGHT)
    return place


@pytest.fixture(scope="module")
def runs(place: Path, fbench: Fbench) -> dict[str, Path]:
    """A separate run of each, by its path."""
    models = ("sdxl-1.0", "sdxl-1.1", "x/images", "y/images", "listed.jsonl")
    for model in models:
        words = ("score", place / model, "--scorers", "entropy", "--out", place / "runs" / model)
        assert fbench(*words).exit_code == 0
    return {model: place / "runs" / model for model in models}


def table_of(output: str) -> dict[str, dict[str, str]]:
    """The lines of a leaderboard's CSV by checkpoint."""
    return {row["checkpoint"]: row for row in csv.DictReader(io.StringIO(output))}


def test_models_side_by_side_are_the_join_of_their_separate_runs(
    place: Path, runs: dict[str, Path], fbench: Fbench
) -> None:
    paths = [place / model for model in runs]
    result = fbench("score", *paths, "--scorers", "entropy", "--out", place / "all", "--json")
    assert result.exit_code == 0, result.output
    names = ["sdxl-1.0", "sdxl-1.1", "x_images", "y_images", "listed"]
    assert [row["checkpoint"]["id"] for row in json.loads(result.stdout)["rows"]] == names
    joined = table_of(fbench("leaderboard", *runs.values(), "--format", "csv").stdout)
    together = table_of(fbench("leaderboard", place / "all", "--format", "csv").stdout)
    assert list(joined) == names
    for name in names:
        # What it took to score it is another attempt's.
        assert {k: v for k, v in joined[name].items() if "seconds" not in k} == {
            k: v for k, v in together[name].items() if "seconds" not in k
        }
    assert (place / "all" / "figures" / "sheet.png").is_file()
    found = read_image_sets(place / "all")
    assert [images.checkpoint.id for images in found] == names
    assert len({images.prompt_set.prompts for images in found}) == 1


def test_the_order_of_runs_and_rows_changes_no_mean(runs: dict[str, Path], fbench: Fbench) -> None:
    one, other = (
        table_of(fbench("leaderboard", *folders, "--reference", "sdxl-1.0", "--format", "csv").stdout)
        for folders in (list(runs.values()), list(runs.values())[::-1])
    )
    assert {n: r["entropy"] for n, r in one.items()} == {n: r["entropy"] for n, r in other.items()}
    assert {n: r["entropy_winrate"] for n, r in one.items()} == {
        n: r["entropy_winrate"] for n, r in other.items()
    }


def test_the_gate_takes_separate_runs_also_of_one_name(
    runs: dict[str, Path], fbench: Fbench, refused: Refused
) -> None:
    for one, other, names in (
        ("sdxl-1.0", "sdxl-1.1", ("sdxl-1.0", "sdxl-1.1")),
        ("x/images", "y/images", ("x_images", "y_images")),
        ("x/images", "listed.jsonl", ("images", "listed")),
    ):
        words = (
            "gate",
            "--baseline",
            runs[one],
            "--candidate",
            runs[other],
            "--scorers",
            "entropy",
            "--json",
        )
        result = fbench(*words)
        assert result.exit_code in (0, 1, 3), result.output
        record = json.loads(result.stdout)
        assert (record["baseline"], record["candidate"]) == names
    assert "is both baseline and candidate" in refused(
        "gate", "--baseline", runs["x/images"], "--candidate", runs["x/images"], "--scorers", "entropy"
    )


def test_a_page_of_separate_runs_has_the_pictures_of_all(
    runs: dict[str, Path], fbench: Fbench, tmp_path: Path
) -> None:
    chosen = [runs["x/images"], runs["y/images"], runs["listed.jsonl"]]
    assert fbench("leaderboard", *chosen, "--output", tmp_path / "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text()
    assert "No pictures of" not in page
    assert page.count("UklGR") == 18  # WebP, in base64


def test_a_rename_changes_no_number(place: Path, runs: dict[str, Path], fbench: Fbench) -> None:
    before = read_score_table(runs["sdxl-1.1"]).rows
    moved = (place / "sdxl-1.1").rename(place / "renamed")
    try:
        words = ("score", moved, "--name", "mine", "--scorers", "entropy", "--out", runs["sdxl-1.1"])
        assert fbench(*words).exit_code == 0
    finally:
        moved.rename(place / "sdxl-1.1")
    after = read_score_table(runs["sdxl-1.1"]).rows
    assert set(after["checkpoint"]) == {"mine"}
    assert after.drop(columns="checkpoint").equals(before.drop(columns="checkpoint"))
    assert fbench(
        "score", place / "sdxl-1.1", "--scorers", "entropy", "--out", runs["sdxl-1.1"]
    ).exit_code == 0  # fmt: skip


def test_another_models_table_is_not_replaced(
    place: Path, runs: dict[str, Path], refused: Refused, fbench: Fbench
) -> None:
    out = runs["x/images"]
    before = (out / "scores.parquet").read_bytes()
    line = refused("score", place / "y" / "images", "--scorers", "entropy", "--out", out)
    assert f"--out {out} holds the scores of images, which these would replace" in line
    assert f"`fbench score {place / 'x' / 'images'} {place / 'y' / 'images'}`" in line
    assert (out / "scores.parquet").read_bytes() == before
    # Side by side with it is what the line says.
    both = (place / "x" / "images", place / "y" / "images")
    assert fbench("score", *both, "--scorers", "entropy", "--out", out).exit_code == 0
    assert "holds the scores of y_images" in refused("score", both[0], "--scorers", "entropy", "--out", out)


def test_a_run_of_another_kind_is_not_replaced(
    place: Path, runs: dict[str, Path], tmp_path: Path, refused: Refused
) -> None:
    record = read_manifest(runs["sdxl-1.0"]).model_dump() | {"kind": "eval"}
    write_json(tmp_path / "manifest.json", record)
    line = refused("score", place / "sdxl-1.0", "--scorers", "entropy", "--out", tmp_path)
    assert "holds a run of `eval`; name a folder of its own" in line


@pytest.mark.parametrize(
    "words", [("eval",), ("eval", "--shard", "1/2"), ("pairs",), ("train", "--preset", "shapes-rpo")]
)
def test_no_other_command_writes_into_its_folder(
    runs: dict[str, Path], refused: Refused, words: tuple[str, ...]
) -> None:
    out = runs["sdxl-1.0"]
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    for dry in ((), ("--dry-run",)):
        assert f"{out} holds a run of `score`; " in refused(*words, "--out", out, *dry)
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_a_manifest_of_one_path_still_opens(runs: dict[str, Path], place: Path, tmp_path: Path) -> None:
    record = read_manifest(runs["sdxl-1.0"]).model_dump()
    record["config"] |= {"path": str(place / "sdxl-1.0")}
    del record["config"]["name"]
    write_json(tmp_path / "manifest.json", record)
    (images,) = read_image_sets(tmp_path)
    assert images.checkpoint.id == "sdxl-1.0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x/images", "x/../x/images"], "is given 2 times"),
        (["x/images", "y/images", "--name", "a"], "2 paths and 1 of --name"),
        (["x/images", "y/images", "--name", "a", "--name", "a"], "--name a is given 2 times"),
        (
            ["x/images", "--name", "org/model"],
            "--name org/model cannot be part of a file's name; --name org_model",
        ),
        (["x/images", "--name", ".."], "cannot be part of a file's name; --name external"),
        (["x/images", "none"], "no JSONL file or folder of images at"),
        (["x/images", "listed.jsonl", "--prompts", "x"], "--prompts is for the layout hps"),
    ],
)
def test_what_cannot_stand_side_by_side_is_one_line(
    words: list[str], said: str, place: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert said in refused("score", *words, "--scorers", "entropy", "--out", "nowhere")
    assert not Path("nowhere").exists()


def test_sets_of_one_name_and_other_prompts_are_refused_by_a_prompt(
    place: Path, runs: dict[str, Path], fbench: Fbench, refused: Refused, tmp_path: Path
) -> None:
    other = folder_of(tmp_path / "images", 5)
    text = (other / "metadata.jsonl").read_text().replace("circle 2", "square")
    (other / "metadata.jsonl").write_text(text)
    line = refused("score", place / "x" / "images", other, "--scorers", "entropy", "--out", tmp_path / "out")
    assert "1 of the 3 prompts of one, such as" in line
    assert "are not in both; score them apart" in line
    assert fbench("score", other, "--scorers", "entropy", "--out", tmp_path / "out").exit_code == 0
    for command in (["leaderboard"], ["plot", "win-rates"]):
        line = refused(*command, runs["y/images"], tmp_path / "out")
        assert "set is images@" in line
        assert "1 of the 3 prompts of one, such as" in line
    fewer = folder_of(tmp_path / "few", 5, order=(0, 2, 4))
    for image in ("1.png", "3.png", "5.png"):
        (fewer / image).unlink()  # else a line tells that they have no prompt
    line = refused("score", place / "x" / "images", fewer, "--scorers", "entropy", "--out", tmp_path / "two")
    assert "up to 2 images a prompt in one and 1 in the other" in line


def test_a_join_compares_the_scorers_that_are_asked_for(
    place: Path, runs: dict[str, Path], fbench: Fbench, refused: Refused, tmp_path: Path
) -> None:
    light = f"{place / 'mine.py'}:Light"
    words = ("score", place / "x" / "images", "--scorers", f"entropy,{light}", "--out", tmp_path / "more")
    assert fbench(*words).exit_code == 0
    both = (runs["sdxl-1.0"], tmp_path / "more")
    board = json.loads(fbench("leaderboard", *both, "--format", "json").stdout)
    assert [column["name"] for column in board["columns"]] == ["entropy"]
    assert "Left out, as not every evaluation has them: light." in board["notes"]
    assert "light" not in board["signature"]
    asked = json.loads(fbench("leaderboard", *both, "--scorers", "entropy", "--format", "json").stdout)
    assert not any("Left out" in note for note in asked["notes"])
    line = refused("leaderboard", *both, "--scorers", "light")
    assert (
        f"light is absent in {runs['sdxl-1.0'] / 'scores.parquet'}; allowed: scorers of all of them: entropy"
        in line
    )
    assert "unknown scorer of this evaluation 'hps'" in refused("leaderboard", *both, "--scorers", "hps")


def test_a_prompt_with_fewer_images_lacks_none(fbench: Fbench, tmp_path: Path) -> None:
    names = pictures(tmp_path / "im", 7)
    rows = [
        {"id": i, "prompt": f"a star {i // 4}", "image_path": f"im/{name}", "seed": (-1) ** i * 2**64 + i}
        for i, name in enumerate(names)
    ]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = fbench(
        "score", tmp_path / "own.jsonl", "--scorers", "entropy", "--out", tmp_path / "o", "--json"
    )
    assert result.exit_code == 0
    board = json.loads(result.stdout)
    assert board["suite"].endswith("2 prompts x up to 4 images")
    assert (board["rows"][0]["n_images"], board["rows"][0]["n_missing"], board["rows"][0]["ranked"]) == (
        6,
        0,
        True,
    )
    table = read_score_table(tmp_path / "o").rows
    assert sorted(table["seed"]) == [0, 0, 1, 1, 2, 3]


def test_equal_images_under_two_names_are_two_models(place: Path, fbench: Fbench, tmp_path: Path) -> None:
    shutil.copytree(place / "x" / "images", tmp_path / "copy")
    words = ("score", place / "x" / "images", tmp_path / "copy", "--scorers", "entropy")
    result = fbench(*words, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0
    one, other = json.loads(result.stdout)["rows"]
    assert (one["checkpoint"]["id"], other["checkpoint"]["id"]) == ("images", "copy")
    assert one["cells"][0]["mean"] == other["cells"][0]["mean"]
    assert (one["n_images"], other["n_images"]) == (6, 6)


def test_images_that_changed_since_are_not_drawn_as_those_that_were_scored(
    fbench: Fbench, refused: Refused, place: Path, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "model", 0)
    fbench("score", folder, "--scorers", f"{place / 'mine.py'}:Light", "--out", tmp_path / "out")
    pictures(folder, 1)
    assert "have changed since they were scored" in refused("plot", "sheet", tmp_path / "out")
    (folder / "0.png").unlink()
    plan = (
        "score",
        folder,
        "--scorers",
        f"{place / 'mine.py'}:Light",
        "--out",
        tmp_path / "new",
        "--dry-run",
    )
    assert "called model; 1 of them are not there" in fbench(*plan).stdout
