"""The way of a run through the commands: train, break off, resume, evaluate, join, draw, score."""

import json
import shutil
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import Result

from benchmark.core.manifest import read_manifest
from benchmark.leaderboard import read_score_table, write_score_table
from tools.simulated_tables import simulated_table

Fbench = Callable[..., Result]


@pytest.fixture(scope="module")
def run(fbench: Fbench, world: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that Ctrl-C broke off in its third step, and that the same command finished."""
    from trainers import loop
    from trainers.run import Run

    out = tmp_path_factory.mktemp("runs") / "js"
    words = ("train", "--config", world["config"], "--divergence", "jensen_shannon", "--out", out)
    update = loop.train_step

    def pressed(run: Run, *args: Any) -> Any:
        if run.step == 2:
            signal.raise_signal(signal.SIGINT)
        return update(run, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", pressed)
        broken = fbench(*words)
    assert broken.exit_code == 130
    assert broken.stderr.splitlines()[-1] == "interrupted; the same command goes on from what is finished"
    assert read_manifest(out).status == "cancelled"
    assert not (out / "checkpoints" / "step-000004").exists()
    resumed = fbench(*words)
    assert resumed.exit_code == 0
    assert resumed.stdout.startswith("trained: f_dpo-jensen_shannon")
    assert "held-out loss " in resumed.stdout
    assert (read_manifest(out).status, read_manifest(out).attempts) == ("success", 2)
    return out


@pytest.fixture(scope="module")
def evaluation(fbench: Fbench, world: dict[str, Path], run: Path) -> Path:
    """The base and that run on three prompts, two images each, by two scorers of the user's own."""
    out = run.parent / "eval"
    done = fbench(*eval_words(world, run), "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "spread" in done.stdout
    assert f"are in {out}" in done.stdout
    return out


def eval_words(world: dict[str, Path], run: Path) -> list[object]:
    return [
        "eval", "--base", world["base"], "--checkpoint", "base", "--checkpoint", run,
        "--prompts", world["prompts"],
        "--scorers", f"{world['scorers']}:Light,{world['scorers']}:Spread", "--images-per-prompt", 2,
        "--steps", 2, "--batch-size", 4, "--precision", "fp32", "--device", "cpu",
    ]  # fmt: skip


def test_a_finished_run_is_reused_and_told_as_json(fbench: Fbench, world: dict[str, Path], run: Path) -> None:
    again = fbench(
        "train", "--config", world["config"], "--divergence", "jensen-shannon", "--out", run, "--dry-run"
    )
    assert again.exit_code == 2, "another spelling is another setting"
    words = ("train", "--config", world["config"], "--divergence", "jensen_shannon", "--out", run, "--json")
    told = json.loads(fbench(*words).stdout)
    assert told["reused"] is True
    assert [c["step"] for c in told["checkpoints"]] == [2, 4]


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    fbench: Fbench, world: dict[str, Path], run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    shown = fbench("train", "--config", world["config"], "--lora-rank", "full", "--out", out, "--dry-run")
    assert shown.exit_code == 0
    assert "all weights" in shown.stdout
    planned = fbench(*eval_words(world, run), "--out", out, "--dry-run", "--json")
    assert any("3 prompts x 2 images" in line for line in json.loads(planned.stdout)["plan"])
    assert list(tmp_path.iterdir()) == []


def test_flags_overrule_the_file(fbench: Fbench, world: dict[str, Path], tmp_path: Path) -> None:
    shown = fbench(
        "train", "--config", world["config"], "--steps", 7, "--seed", 3, "--slope-matched",
        "--log-ratio-scale", "auto", "--out", tmp_path / "x", "--dry-run", "--offline",
    )  # fmt: skip
    assert "7 of 4 pairs" in shown.stdout
    assert "seed 3" in shown.stdout
    assert "(auto)" in shown.stdout


def test_an_evaluation_leaves_what_it_promises(evaluation: Path) -> None:
    there = {p.relative_to(evaluation).as_posix() for p in evaluation.rglob("*") if p.is_file()}
    promised = {f"leaderboard.{ending}" for ending in ("csv", "tex", "md", "json")}
    promised |= {
        "manifest.json",
        "scores.parquet",
        "report.html",
        "figures/trade-off.png",
        "figures/sheet.png",
    }
    assert promised <= there
    outputs = {Path(item.path).name for item in read_manifest(evaluation).outputs}
    assert "report.html" in outputs


def test_ctrl_c_and_sigterm_leave_an_evaluation_that_the_same_command_finishes(
    fbench: Fbench, world: dict[str, Path], run: Path, evaluation: Path, tmp_path: Path
) -> None:
    from diffusers import DDIMScheduler

    from benchmark.evaluate.scoring import ScoreCache

    words = (*eval_words(world, run), "--out", tmp_path)

    def interrupt(number: signal.Signals, owner: type, method: str, call: int) -> None:
        """Runs the command and sends it a signal when a method is called for the n-th time."""
        original, calls = getattr(owner, method), count(1)

        def pressed(*args: Any, **options: Any) -> Any:
            if next(calls) == call:
                signal.raise_signal(number)
            return original(*args, **options)

        # A shell starts what it puts into the background deaf to Ctrl-C.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(owner, method, pressed)
                broken = fbench(*words)
        finally:
            signal.signal(signal.SIGINT, before)
        assert broken.exit_code == 128 + number
        word = "interrupted" if number == signal.SIGINT else "terminated"
        assert broken.stderr.splitlines()[-1] == f"{word}; the same command goes on from what is finished"
        assert "Traceback" not in broken.stderr
        assert broken.stdout == ""
        assert read_manifest(tmp_path).status == "cancelled"
        assert not (tmp_path / "scores.parquet").exists()
        assert not [path for path in tmp_path.rglob("*") if ".part" in path.name]

    def made(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.glob("images/*/*.png")}

    # Two denoising steps a batch of four images: in the middle of the base's second batch.
    interrupt(signal.SIGINT, DDIMScheduler, "step", 4)
    first = made(tmp_path)
    assert len(first) == 4
    assert first.items() <= made(evaluation).items()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("images/*/*.png")}
    # All of the base's images are there, and the first scorer's rows; the second's were about to be kept.
    interrupt(signal.SIGTERM, ScoreCache, "write", 2)
    assert len(made(tmp_path)) == 6
    assert len(list(tmp_path.glob(".scores/*/*"))) == 1
    done = fbench(*words)
    assert done.exit_code == 0, done.stderr
    assert (read_manifest(tmp_path).status, read_manifest(tmp_path).attempts) == ("success", 3)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert made(tmp_path) == made(evaluation)
    assert (tmp_path / "figures/sheet.png").read_bytes() == (evaluation / "figures/sheet.png").read_bytes()
    # All but the time it took, which goes on counting over the attempts.
    again, once = read_score_table(tmp_path), read_score_table(evaluation)
    pd.testing.assert_frame_equal(again.rows, once.rows)
    seconds = [table.costs["base"].eval_seconds for table in (again, once)]
    assert None not in seconds
    boards = [pd.read_csv(f / "leaderboard.csv").drop(columns="eval_seconds") for f in (tmp_path, evaluation)]
    pd.testing.assert_frame_equal(boards[0], boards[1])


def test_a_leaderboard_is_rebuilt_in_every_format(fbench: Fbench, evaluation: Path, tmp_path: Path) -> None:
    for form, ending in (("csv", "csv"), ("latex", "tex"), ("markdown", "md"), ("json", "json")):
        printed = fbench("leaderboard", evaluation, "--format", form)
        assert printed.exit_code == 0
        written = tmp_path / f"board.{ending}"
        assert fbench("leaderboard", evaluation, "--output", written).stdout == f"wrote {written}\n"
        assert written.read_text().rstrip("\n") == printed.stdout.rstrip("\n")
        if form != "json":
            assert written.read_text() == (evaluation / f"leaderboard.{ending}").read_text()
    assert json.loads(fbench("leaderboard", evaluation, "--json").stdout)["reference"] == "base"
    assert "light" in fbench("leaderboard", evaluation).stdout


def test_a_page_is_written_again_and_says_what_is_gone(
    fbench: Fbench, evaluation: Path, tmp_path: Path
) -> None:
    def content(page: Path) -> Any:
        text = page.read_text().split('<script id="content" type="application/json">')[1]
        return json.loads(text.split("</script>")[0])

    page = tmp_path / "board.html"
    assert fbench("leaderboard", evaluation, "--output", page).stdout == f"wrote {page}\n"
    first, again = content(evaluation / "report.html"), content(page)
    # The first was written by the run itself, which had not ended then.
    for manifest in (*first["manifests"], *again["manifests"]):
        for name in ("status", "ended_at", "outputs"):
            del manifest[name]
    assert again == first
    assert [manifest["kind"] for manifest in again["manifests"]] == ["eval", "train"]
    assert (again["pictures"]["kept"], again["pictures"]["note"]) == (12, "")
    assert [prompt["text"] for prompt in again["prompts"]] == ["a red star", "two hearts", "a ring"]
    fbench("leaderboard", evaluation, "--output", page, "--page-megabytes", 0)
    assert content(page)["pictures"]["kept"] == 0
    alone = shutil.copy(evaluation / "scores.parquet", tmp_path)
    fbench("leaderboard", alone, "--output", page)
    assert content(page)["pageNotes"] == [f"No pictures of {alone}: no evaluation lies there."]
    assert len(content(page)["prompts"]) == 3


def test_figures_are_drawn_again(fbench: Fbench, evaluation: Path, tmp_path: Path) -> None:
    pdf, png = tmp_path / "t.pdf", tmp_path / "s.png"
    assert fbench("plot", "trade-off", evaluation, "--output", pdf).stdout == f"wrote {pdf}\n"
    drawn = fbench("plot", "sheet", evaluation, "--prompt", "0001", "--seed", 0, "--seed", 1, "--output", png)
    assert drawn.exit_code == 0
    assert pdf.read_bytes().startswith(b"%PDF")
    assert png.stat().st_size > 1000
    # The sheet that the evaluation drew from memory is the one that is drawn from its folder.
    fbench("plot", "sheet", evaluation, "--output", tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (evaluation / "figures" / "sheet.png").read_bytes()


def test_a_figure_of_another_kind_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    write_score_table(simulated_table(n_prompts=12, images_per_prompt=2), tmp_path / "scores.parquet")
    assert "allowed: .png, .pdf, .svg" in refused(
        "plot", "trade-off", tmp_path, "--output", tmp_path / "t.gif"
    )
    line = refused("plot", "trade-off", tmp_path, "--preference", "hpss")
    assert "unknown scorer of this leaderboard 'hpss'" in line


def test_a_checkpoint_of_another_base_model_is_refused_before_anything_is_made(
    refused: Callable[..., str], world: dict[str, Path], run: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = shutil.copytree(world["base"], tmp_path / "other-sd")
    (file,) = (other / "unet").glob("*.safetensors")
    save_file({name: 2 * value for name, value in load_file(file).items()}, file, {"format": "pt"})
    words = eval_words(world, run)
    words[2] = other
    line = refused(*words, "--out", tmp_path / "eval")
    assert "was trained from the base model" in line
    assert not (tmp_path / "eval").exists()


def test_images_made_elsewhere_are_scored_and_missing_ones_end_with_4(
    fbench: Fbench, world: dict[str, Path], evaluation: Path, tmp_path: Path
) -> None:
    images = sorted((evaluation / "images" / "base").glob("0000_*.png"))
    rows = [{"id": "p0", "prompt": "a red star", "image_path": str(path)} for path in images]
    listed = tmp_path / "rows.jsonl"
    listed.write_text("\n".join(json.dumps(row) for row in rows))
    words = ("score", listed, "--scorers", f"{world['scorers']}:Light", "--device", "cpu")
    done = fbench(*words, "--out", tmp_path / "whole", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["n_images"] == 2
    rows.append({"id": "p0", "prompt": "a red star", "image_path": "gone.png"})
    listed.write_text("\n".join(json.dumps(row) for row in rows))
    gap = fbench(*words, "--out", tmp_path / "gap")
    assert gap.exit_code == 4
    assert "finished, but 1 of 3 rows have no value" in gap.stderr
    assert read_manifest(tmp_path / "gap").status == "success"


def test_no_room_is_told_before_the_first_image(
    refused: Callable[..., str],
    world: dict[str, Path],
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    line = refused(*eval_words(world, run), "--out", tmp_path / "eval")
    assert "but 100 B are free" in line
    assert not list(tmp_path.rglob("*.png"))
