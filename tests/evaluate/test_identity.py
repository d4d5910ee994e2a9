"""What an evaluation names is recognised by its content, whatever it is called: docs/identity.md."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmark.core import resources
from benchmark.core.hashing import sha256_json
from benchmark.evaluate.external_images import read_images
from benchmark.models import checkpoint_hash, open_checkpoint
from benchmark.models.families.base import Pipeline
from benchmark.prompt_sets import load_prompt_set
from benchmark.scorers import make_scorers
from benchmark.scorers.base import scorers

SCORER = """
from benchmark.scorers.base import ImageScorer
class Mine(ImageScorer):
    name, axis, weights_hash, version = "mine", "texture", "", "3"
    def load(self, device="cpu"): ...
    def values(self, shown): return [{value} for _ in shown.images]
"""


def test_an_edited_scorer_file_has_another_version_although_it_states_the_same(tmp_path: Path) -> None:
    file, versions = tmp_path / "mine.py", []
    for value in (1.0, 2.0, 1.0):
        file.write_text(SCORER.format(value=value))
        versions += [scorer.scorer_version for scorer in make_scorers([f"{file}:Mine"], "embedded")]
    first, second, again = versions
    assert first == again != second
    assert all(version.startswith("3+") for version in versions)
    moved = shutil.copy(file, tmp_path / "yours.py")
    assert make_scorers([f"{moved}:Mine"], "embedded")[0].scorer_version == first


def test_every_scorer_follows_the_content_of_its_weights(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hashes() -> dict[str, str]:
        made = {
            name: make_scorers([name], "embedded")[0] for name in scorers.names() if not name.endswith(":")
        }
        return {name: scorer.weights_hash for name, scorer in made.items() if _has_weights(scorer)}

    before = hashes()
    assert {"hps", "clip", "lpips", "fid"} <= before.keys()
    package = Path(shutil.copytree(world.parents[1], tmp_path / "package"))
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert hashes() == before  # the same content in another place
    for file in (package / "shapes" / "weights").rglob("*"):
        if file.is_file() and file.suffix in (".safetensors", ".pt", ".npz", ".json"):
            file.write_bytes(file.read_bytes() + b" ")
    after = hashes()
    assert [name for name in before if before[name] == after[name]] == []


def _has_weights(scorer: object) -> bool:
    try:
        return bool(scorer.weights_hash)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001  # of those that the random world comes without
        return False


@pytest.mark.parametrize("name", ["fid", "kid", "cmmd", "precision"])
def test_a_reference_is_its_images(world: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "reference"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"{i}.png")

    def version() -> str:
        return make_scorers([f"{name}(reference='{folder}')"], "embedded")[0].scorer_version

    before = version()
    shutil.copytree(folder, tmp_path / "else" / "reference")
    assert (
        make_scorers([f"{name}(reference='{tmp_path}/else/reference')"], "embedded")[0].scorer_version
        == before
    )
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / "1.png")
    assert version() != before


@pytest.mark.parametrize("name", ["style_fd", "style_cosine"])
def test_references_of_styles_are_their_images_and_names(world: Path, tmp_path: Path, name: str) -> None:
    def version(folder: Path) -> str:
        return make_scorers([f"{name}(references='{folder}')"], "embedded")[0].scorer_version

    for i, style in enumerate(("a", "b")):
        (tmp_path / "styles" / style).mkdir(parents=True)
        Image.new("RGB", (64, 64), (i, 0, 0)).save(tmp_path / "styles" / style / "0.png")
    before = version(tmp_path / "styles")
    moved = Path(shutil.copytree(tmp_path / "styles", tmp_path / "moved"))
    assert version(moved) == before
    # Of another name a style is that of other prompts.
    (moved / "b").rename(moved / "c")
    assert version(moved) != before
    Image.new("RGB", (64, 64), (9, 0, 0)).save(tmp_path / "styles" / "b" / "0.png")
    assert version(tmp_path / "styles") != before


def test_prompts_are_their_texts(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    file = write("prompts.txt", "a red star\na ring\n")
    before = load_prompt_set(str(file))
    moved = write("else/prompts.txt", file.read_text())
    assert load_prompt_set(str(moved)).sha256 == before.sha256
    file.write_text("a red star\na blue ring\n")
    assert load_prompt_set(str(file)).sha256 != before.sha256


def test_the_texts_of_hps_images_are_part_of_them(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    folder = tmp_path / "images" / "anime"
    folder.mkdir(parents=True)
    for i in range(2):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / f"{i:05d}.jpg")

    def seen(texts: list[str]) -> str:
        file = write("texts.json", json.dumps({"anime": texts}))
        images = read_images(folder.parent, "hps", file)
        return sha256_json([images.id, tuple(images.prompt_set)])

    assert seen(["a star", "a ring"]) == seen(["a star", "a ring"]) != seen(["a star", "two rings"])


def test_a_checkpoint_that_was_trained_anew_is_another_one(
    tiny_pipeline_folder: Path, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    place, base = tmp_path / "run", str(tiny_pipeline_folder)
    shutil.copytree(tiny_pipeline_folder / "unet", place / "unet")

    def known(path: Path) -> tuple[str, str]:
        return checkpoint_hash(str(path), base), open_checkpoint(str(path), tiny_pipeline)[0].revision or ""

    before = known(place)
    shutil.copytree(place, tmp_path / "else" / "run")
    assert known(tmp_path / "else" / "run") == before
    (file,) = place.rglob("*.safetensors")
    save_file({k: v * 1.5 for k, v in load_file(file).items()}, file, {"format": "pt"})
    assert all(a != b for a, b in zip(known(place), before, strict=True))
    assert checkpoint_hash("base", base) not in (before[0], known(place)[0])
