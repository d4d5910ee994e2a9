"""`fbench weights` and what `fbench doctor` says of weights."""

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from typer.testing import Result

from benchmark.scorers import scorers
from benchmark.weights.catalogue import RELEASES
from tools.docs import weights_page

Fbench = Callable[..., Result]
ROOT = Path(__file__).resolve().parent.parent.parent
Refused = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights, named by the environment; the flag of the commands may change that."""
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "weights"


def test_the_list_says_who_needs_what_and_where_it_is(fbench: Fbench, folder: Path) -> None:
    (folder / "hps").mkdir(parents=True)
    (folder / "hps" / "HPS_v2.1_compressed.pt").write_bytes(b"x")
    listed = json.loads(fbench("weights", "list", "--weights-folder", folder, "--json").stdout)
    by_name = {entry["name"]: entry for entry in listed["weights"]}
    assert list(by_name) == [known.name for known in RELEASES]
    assert listed["folder"] == str(folder)
    assert by_name["hps-v2.1"]["place"] == str(folder / "hps" / "HPS_v2.1_compressed.pt")
    assert by_name["hps-v2.0"]["place"] is None
    assert by_name["hps-v2.0"]["scorers"] == ["hps(version='v2.0')"]
    assert by_name["imagereward"]["licence"] == "Apache-2.0"
    said = fbench("weights", "list").stdout
    assert all(known.name in said and known.source in said for known in RELEASES)
    assert all(len(line) <= 80 for line in said.splitlines() if "/" not in line)
    here = fbench("weights", "list", "--weights-folder", folder).stdout
    assert f"at {folder / 'hps' / 'HPS_v2.1_compressed.pt'}" in here


def test_the_page_of_weights_is_what_the_catalogue_says() -> None:
    page = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    assert page == weights_page.markdown(), "run python -m tools.docs.weights_page docs/weights.md"


def test_fetching_offline_is_refused_in_one_line(refused: Refused, folder: Path) -> None:
    line = refused("weights", "fetch", "hps-v2.1", "--offline", "--weights-folder", folder)
    assert f"no HPS_v2.1_compressed.pt at {folder / 'hps'}" in line
    assert "`fbench weights fetch hps-v2.1`" in line


def test_fetching_wants_names_or_all(refused: Refused, folder: Path) -> None:
    assert "or give --all" in refused("weights", "fetch")
    assert "or give --all" in refused("weights", "fetch", "hps-v2.1", "--all")
    assert "did you mean pickscore" in refused("weights", "fetch", "pikscore")


def test_fetched_weights_are_here_and_verified(
    fbench: Fbench, refused: Refused, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hub(repo: str, name: str, *, local_dir: Path) -> str:
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / name).write_text(repo)
        return name

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    place = ("--weights-folder", folder)
    first = fbench("weights", "fetch", "imagereward", "bert-base-uncased", *place)
    assert first.stdout.splitlines()[0] == f"imagereward: fetched, {folder / 'imagereward'}"
    assert "was here" in fbench("weights", "fetch", "imagereward", *place).stdout
    verified = json.loads(fbench("weights", "verify", "imagereward", *place, "--json").stdout)
    assert [found["verdict"] for found in verified["files"]] == ["recorded", "recorded"]
    assert "right" in fbench("weights", "verify", "imagereward", *place).stdout
    # Opening finds what hashing cannot.
    opened = fbench("weights", "verify", "imagereward", "--load", *place)
    assert opened.exit_code == 2
    assert "imagereward: cannot read" in opened.stderr
    (folder / "imagereward" / "ImageReward.pt").write_text("another")
    changed = fbench("weights", "verify", *place)
    assert changed.exit_code == 2
    assert "imagereward/ImageReward.pt" in changed.stderr
    missing = fbench("weights", "verify", "hps-v2.1", *place)
    assert (missing.exit_code, "is missing" in missing.stderr) == (2, True)


def test_the_doctor_names_every_scorer_and_what_is_missing(fbench: Fbench, folder: Path) -> None:
    found = json.loads(fbench("doctor", "--json").stdout)["scorers"]
    assert {scorer["name"] for scorer in found} == set(scorers.names())
    published = {scorer["call"]: scorer for scorer in found if scorer["kind"] == "published"}
    assert not published["pickscore"]["present"]
    assert published["pickscore"]["note"] == "fbench weights fetch pickscore pickscore-processor"
    assert published["hps(version='v2.0')"]["note"] == "fbench weights fetch hps-v2.0"
    at_hand = {scorer["name"]: scorer for scorer in found if scorer["kind"] != "published"}
    assert all(scorer["present"] for scorer in at_hand.values())
    assert not published["clip"]["present"]
    assert at_hand["entropy"]["kind"] == "none"


def test_an_evaluation_looks_into_the_folder_of_the_flag(
    refused: Refused, folder: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images.jsonl"
    images.write_text(json.dumps({"id": "a", "prompt": "a star", "image_path": "a.png"}) + "\n")
    line = refused("score", images, "--scorers", "hps", "--weights-folder", folder, "--out", tmp_path / "out")
    assert f"no HPS_v2.1_compressed.pt at {folder / 'hps'}" in line
