"""Whatever befalls a file that an evaluation left: the same numbers, or one line; never other numbers."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from benchmark.core.errors import UnreadableFileError
from benchmark.core.manifest import FILE_NAME
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.run import evaluate
from benchmark.leaderboard import read_score_table

Damage = Callable[[bytes], bytes]

DAMAGES: dict[str, Damage] = {
    "emptied": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "flipped": lambda content: _flipped(content, len(content) // 2),
}


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


SCORER = """
import numpy as np
from benchmark.scorers.base import ImageScorer

class Grey(ImageScorer):
    name, axis, weights_hash = "grey", "texture", ""
    def load(self, device="cpu"): ...
    def values(self, shown):
        means = shown.each("means", lambda new: [np.asarray(i, float).mean((0, 1)) for i in new.images])
        return [float(mean.sum()) for mean in means]
"""


@pytest.fixture(scope="module")
def whole(tiny_pipeline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> EvalConfig:
    """An evaluation of two checkpoints with everything that one can leave, the distances included."""
    folder = tmp_path_factory.mktemp("damaged")
    unet = shutil.copytree(tiny_pipeline_folder / "unet", folder / "other" / "unet")
    (file,) = unet.glob("*.safetensors")
    save_file({k: v * 1.1 for k, v in load_file(file).items()}, file, {"format": "pt"})
    (folder / "prompts.txt").write_text("a red star\ntwo hearts")
    (folder / "grey.py").write_text(SCORER)
    config = EvalConfig.parse(
        {
            "base": str(tiny_pipeline_folder), "checkpoint": ("base", str(unet.parent)), "steps": 2,
            "prompts": str(folder / "prompts.txt"), "images_per_prompt": 2, "precision": "fp32",
            "scorers": f"{folder / 'grey.py'}:Grey", "distance": True, "out": folder / "eval",
        }
    )  # fmt: skip
    evaluate(config)
    return config


def files(folder: Path, *names: str) -> list[Path]:
    """The files that lie there; with names, those whose path below the folder begins with one of them."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if path.relative_to(folder).as_posix().startswith(names or "")]


def damaged(
    config: EvalConfig, place: Path, damage: Damage, victims: list[Path], gone: str = ""
) -> EvalConfig:
    """A copy of the evaluation in which files are damaged, and a folder is gone."""
    out = shutil.copytree(config.out, place)
    for victim in victims:
        path = out / victim.relative_to(config.out)
        path.write_bytes(damage(path.read_bytes()))
    shutil.rmtree(out / gone) if gone else None
    return config.model_copy(update={"out": out})


def is_right(config: EvalConfig, whole: EvalConfig) -> bool:
    evaluate(config)
    pd.testing.assert_frame_equal(read_score_table(config.out).rows, read_score_table(whole.out).rows)
    for image in whole.out.glob("images/*/*.png"):
        assert (config.out / image.relative_to(whole.out)).read_bytes() == image.read_bytes()
    return True


def test_every_kind_of_file_is_met(whole: EvalConfig) -> None:
    for kind in (".features/", ".scores/", ".seconds/", "distances/", "images/", FILE_NAME, "scores.parquet"):
        assert files(whole.out, kind), kind


@pytest.mark.parametrize("how", DAMAGES)
def test_the_next_call_gives_the_same_numbers(whole: EvalConfig, tmp_path: Path, how: str) -> None:
    """In two rounds: without kept scores all that lies below them is read, without an index no image is."""
    first = files(
        whole.out, ".scores/", *(p.relative_to(whole.out).as_posix() for p in whole.out.rglob("index*"))
    )
    second = [path for path in files(whole.out) if path not in first and path.name != FILE_NAME]
    assert is_right(damaged(whole, tmp_path / "first", DAMAGES[how], first), whole)
    assert is_right(damaged(whole, tmp_path / "second", DAMAGES[how], second, gone=".scores"), whole)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_manifest_is_refused_with_the_remedy(whole: EvalConfig, tmp_path: Path, how: str) -> None:
    config = damaged(whole, tmp_path / "eval", DAMAGES[how], [whole.out / FILE_NAME])
    for read in (evaluate, lambda config: read_score_table(config.out)):
        with pytest.raises(UnreadableFileError, match=f"delete {config.out / FILE_NAME}"):
            read(config)
    (config.out / FILE_NAME).unlink()
    assert is_right(config, whole)


def test_a_table_with_any_byte_flipped_is_not_read(whole: EvalConfig, tmp_path: Path) -> None:
    out = shutil.copytree(whole.out, tmp_path / "eval")
    table = out / "scores.parquet"
    content = table.read_bytes()
    for at in random.Random(7).sample(range(len(content)), 40):
        table.write_bytes(_flipped(content, at))
        with pytest.raises(UnreadableFileError, match="give the command that made it again"):
            read_score_table(out)
    # Alone it has nothing to be held against; moved with its folder it has.
    read_score_table(Path(shutil.copy(whole.out / "scores.parquet", tmp_path)))
    read_score_table(shutil.copytree(whole.out, tmp_path / "moved"))


def test_caches_of_before_they_were_sealed_are_made_anew(whole: EvalConfig, tmp_path: Path) -> None:
    out = shutil.copytree(whole.out, tmp_path / "eval")
    for folder in (".features", ".scores", ".seconds", "distances"):
        for path in (out / folder).rglob("*.*"):
            if path.is_file():
                path.write_bytes(path.read_bytes().rpartition(b"\nfbench sha256 ")[0])
    assert is_right(whole.model_copy(update={"out": out}), whole)


def test_parts_are_never_read_and_go(whole: EvalConfig, tmp_path: Path) -> None:
    out = shutil.copytree(whole.out, tmp_path / "eval")
    parts = [
        place / f".x.1.part{ending}"
        for place in (out, *(p for p in out.rglob("*") if p.is_dir()))
        for ending in (".npy", ".json", ".parquet", ".png")
    ]
    for part in parts:
        part.write_bytes(b"")
    shutil.rmtree(out / ".scores")
    assert is_right(whole.model_copy(update={"out": out}), whole)
    assert not [part for part in parts if part.exists()]


def test_a_manifest_that_is_a_folder_is_one_line(whole: EvalConfig, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(UnreadableFileError, match=f"delete {tmp_path / FILE_NAME}"):
        evaluate(whole.model_copy(update={"out": tmp_path}))
