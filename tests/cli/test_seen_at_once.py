"""A dry run sees what is not on this machine, with its size; what a command says next can be pasted."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from benchmark.models import models
from benchmark.scorers.requirements import needs, releases_of
from benchmark.weights.catalogue import release

Fbench = Callable[..., Result]
Refused = Callable[..., str]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine to which nothing was ever fetched, with a network that nobody uses."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    # Set here, so that what `--offline` makes of them does not outlive the test.
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    return tmp_path


SIZES = {
    "sd15": "4.27 GB",
    "sdxl": "13.9 GB",
    "qwen_image": "57.7 GB",
    "sd3_medium": "15 GB",
    "sd35_medium": "16 GB",
    "sd35_large": "28 GB",
    "flux1_dev": "34 GB",
    "flux1_schnell": "34 GB",
}
PUBLISHED = [name for name in models.names() if not models.create(name).local]


@pytest.mark.parametrize("name", [*PUBLISHED, "owner/name"])
def test_a_base_model_that_is_not_here_is_seen_with_its_size(
    fbench: Fbench, refused: Refused, world: dict[str, Path], bare: Path, name: str
) -> None:
    size = SIZES.get(name, "size not known")
    light = f"{world['scorers']}:Light"
    commands = (
        ["train", "--base", name, "--data", world["pairs"], "--beta", 1],
        ["eval", "--base", name, "--prompts", world["prompts"], "--scorers", light],
    )
    for words in commands:
        out = ["--out", bare / "out", "--dry-run"]
        shown = fbench(*words, *out)
        assert shown.exit_code == 0, shown.stderr
        (line,) = [line for line in shown.stdout.splitlines() if "not on this machine" in line]
        assert name in line
        assert "would be fetched" in line
        assert size in line
    for words in commands:
        line = refused(*words, "--out", bare / "out", "--dry-run", "--offline")
        assert f"the weights of {name} ({size}) are not on this machine, and offline nothing" in line
        assert "`hf download " in line
    assert not list(bare.iterdir())


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_folder_without_the_weights_of_a_network_is_seen(
    refused: Refused, world: dict[str, Path], tmp_path: Path, part: str
) -> None:
    base = tmp_path / "base"
    shutil.copytree(world["base"], base)
    for file in (base / part).glob("*.safetensors"):
        file.unlink()
    words = ("train", "--base", base, "--data", world["pairs"], "--beta", 1, "--out", tmp_path / "out")
    assert f"no weights (.safetensors or .bin) at {base / part}" in refused(*words, "--dry-run")
    evaluated = ("eval", "--base", base, "--scorers", f"{world['scorers']}:Light", "--out", tmp_path / "out")
    assert f"no weights (.safetensors or .bin) at {base / part}" in refused(*evaluated, "--dry-run")


def test_a_checkpoint_of_the_hub_is_not_fetched_by_a_dry_run(
    fbench: Fbench, world: dict[str, Path], bare: Path
) -> None:
    shown = fbench(
        "eval", "--base", world["base"], "--checkpoint", "owner/adapter", "--prompts", world["prompts"],
        "--scorers", f"{world['scorers']}:Light", "--out", bare / "out", "--dry-run",
    )  # fmt: skip
    assert shown.exit_code == 0, shown.stderr
    assert "owner/adapter: not on this machine, would be fetched from owner/adapter" in shown.stdout
    assert not list(bare.iterdir())


@pytest.mark.parametrize("call", sorted({need.call for need in needs()}))
def test_the_catalogue_says_what_each_way_of_calling_a_scorer_opens(call: str) -> None:
    from benchmark.scorers import make_scorers

    (needed,) = [need.releases for need in needs() if need.call == call]
    (scorer,) = make_scorers([call], "published")
    assert tuple(found.name for found in releases_of(scorer)) == needed
    assert releases_of(make_scorers([call], "a-place-of-ones-own")[0]) == ()


def test_weights_of_scorers_are_named_all_at_once_with_their_sizes(
    refused: Refused, world: dict[str, Path], bare: Path
) -> None:
    (bare / "images").mkdir()
    (bare / "images" / "a.png").write_bytes(b"never opened")
    (bare / "images" / "a.txt").write_text("a cat")
    scorers = "clip,pickscore,imagereward,lpips(net='vgg')"
    names = [
        "clip-vit-h-14",
        "pickscore",
        "pickscore-processor",
        "imagereward",
        "bert-base-uncased",
        "lpips-vgg",
    ]
    for words in (
        ["score", bare / "images", "--scorers", scorers, "--dry-run"],
        ["score", bare / "images", "--scorers", scorers],
        ["eval", "--base", world["base"], "--prompts", world["prompts"], "--scorers", scorers, "--dry-run"],
    ):
        line = refused(*words, "--out", bare / "out")
        assert "4 scorers have no weights" in line
        for name in names:
            size = "size not known" if not release(name).size else ""
            assert f"{name} ({size}" in line
        assert "clip-vit-h-14 (3.94 GB) of clip" in line
        hint = shlex.split(line.split("`")[1])
        assert hint == ["fbench", "weights", "fetch", *names]
    one = refused("score", bare / "images", "--scorers", "clip", "--out", bare / "out", "--dry-run")
    assert "no open_clip_model.safetensors (3.94 GB) at " in one
    assert "`fbench weights fetch clip-vit-h-14` gets it" in one


def test_a_dry_run_of_scoring_says_what_it_would_do(
    fbench: Fbench, refused: Refused, world: dict[str, Path], bare: Path
) -> None:
    (bare / "images").mkdir()
    for name in "ab":
        (bare / "images" / f"{name}.png").write_bytes(b"never opened")
        (bare / "images" / f"{name}.txt").write_text(name)
    light = f"{world['scorers']}:Light"
    words = ("score", bare / "images", "--scorers", light, "--out", bare / "out", "--dry-run")
    plan = json.loads(fbench(*words, "--json").stdout)["plan"]
    assert plan[0].split() == f"images 2 of 2 prompts in {bare / 'images'}, called images".split()
    assert "light (image, 1+" in plan[1]
    assert not (bare / "out").exists()
    (bare / "c.toml").write_text('primary = ["lihgt"]\n')
    assert "unknown primary scorer 'lihgt'; allowed: light; did you mean light?" in refused(
        *words, "--config", bare / "c.toml"
    )


@pytest.mark.parametrize("name", ["a  b", """it's "x" $HOME;ü*`ls`"""])
def test_what_is_said_to_come_next_can_be_pasted(
    fbench: Fbench, world: dict[str, Path], tmp_path: Path, name: str
) -> None:
    words = ("train", "--config", world["config"], "--steps", 2, "--out", tmp_path / name)
    told = fbench(*words)
    assert told.exit_code == 0, told.stderr
    (hint,) = [line for line in told.stdout.splitlines() if line.startswith("next: ")]
    command, *pasted = shlex.split(hint.removeprefix("next: "))
    assert command == "fbench"
    light = ("--scorers", f"{world['scorers']}:Light", "--prompts", world["prompts"])
    shown = fbench(*pasted, *light, "--out", tmp_path / "eval", "--dry-run")
    assert shown.exit_code == 0, shown.stderr
    assert str(tmp_path / name) in shown.stdout
