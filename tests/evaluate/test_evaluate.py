"""An evaluation from checkpoints to files, with random weights of the real classes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from benchmark.core.errors import MissingFileError, MissingRowsError, UnknownNameError, UserError
from benchmark.core.manifest import read_manifest
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.finished import read_image_sets
from benchmark.evaluate.plan import plan
from benchmark.evaluate.results import EvalResult
from benchmark.evaluate.run import evaluate
from benchmark.leaderboard import read_score_table

SCORERS = "true_reward,oracle,clip,lpips"


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    texts = ["a red star", "two hearts, winter", "a tiny blue circle at night", "a cross on sand, a sketch"]
    (tmp_path / "prompts.txt").write_text("\n".join(texts))
    return str(tmp_path / "prompts.txt")


@pytest.fixture
def other(world: Path, tmp_path: Path) -> str:
    """A checkpoint whose UNet differs from the base's."""
    unet = shutil.copytree(world / "shapes-sd" / "unet", tmp_path / "other" / "unet")
    (file,) = unet.glob("*.safetensors")
    save_file({k: v * 1.5 for k, v in load_file(file).items()}, file, {"format": "pt"})
    return str(unet.parent)


@pytest.fixture
def settings(prompts: str, tmp_path: Path) -> Callable[..., EvalConfig]:
    def make(**changes: object) -> EvalConfig:
        plain = {
            "prompts": prompts, "scorers": SCORERS, "images_per_prompt": 2, "steps": 1, "batch_size": 4,
            "out": tmp_path / "eval", "precision": "fp32", "primary": "true_reward",
        }  # fmt: skip
        return EvalConfig.parse({**plain, **changes})

    return make


def written(result: EvalResult) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in result.folder.glob(".scores/*/*.parquet")}


def test_an_evaluation_and_its_resumption(
    world: Path, other: str, settings: Callable[..., EvalConfig]
) -> None:
    config = settings(checkpoint=("base", other))
    result = evaluate(config, command="fbench eval")
    assert result.leaderboard is not None
    names = [row.checkpoint.id for row in result.leaderboard.rows]
    assert names[0] == result.leaderboard.reference == "base"
    assert names[1].startswith("other-")
    assert [c.name for c in result.leaderboard.columns] == SCORERS.split(",")
    assert [c.primary for c in result.leaderboard.columns] == [True, False, False, False]
    assert result.n_missing == result.n_undefined == 0
    # Three scorers of images and one of prompts.
    assert result.n_rows == 2 * (3 * 8 + 4)
    table = read_score_table(result.folder)
    assert table.signature == result.leaderboard.signature
    assert "sampler:ddim-1" in table.signature
    for name in (
        "leaderboard.csv",
        "leaderboard.tex",
        "leaderboard.md",
        "leaderboard.json",
        "figures/sheet.png",
    ):
        assert (result.folder / name).stat().st_size > 0
    manifest = read_manifest(result.folder)
    assert (manifest.status, manifest.kind, manifest.command) == ("success", "eval", "fbench eval")
    assert {"base", "prompts"} <= {item.path for item in manifest.inputs}
    assert [s.records for s in read_image_sets(result.folder)] == [s.records for s in result.image_sets]

    before = written(result)
    result.image_sets[1].records[3].path.unlink()
    again = evaluate(config)
    assert again.image_sets == result.image_sets
    assert written(again) == before
    assert again.leaderboard is not None
    first, second = result.leaderboard.rows, again.leaderboard.rows
    assert [row.cells for row in second] == [row.cells for row in first]
    # The image that was made again took its time; what was found did not.
    assert first[0].cost == second[0].cost
    assert (first[1].cost.eval_seconds or 0) < (second[1].cost.eval_seconds or 0)
    assert read_manifest(result.folder).attempts == 2

    assert (result.folder / "figures" / "win-rates.png").is_file()
    warmer = evaluate(settings(checkpoint=("base",), guidance=7.0))
    # No figure of the earlier table stays beside this one, in which nobody wins.
    outputs = {Path(item.path) for item in read_manifest(warmer.folder).outputs}
    figures = set((warmer.folder / "figures").iterdir())
    assert warmer.folder / "figures" / "win-rates.png" not in figures
    assert figures == {path for path in outputs if path.parent.name == "figures"}
    assert warmer.image_sets[0].id != result.image_sets[0].id
    assert len(written(warmer)) == len(before) + 4


def test_a_scorer_that_fails_leaves_the_others_alone(
    world: Path, settings: Callable[..., EvalConfig], tmp_path: Path
) -> None:
    source = tmp_path / "broken.py"
    source.write_text(
        "from benchmark.scorers.base import ImageScorer\n"
        "class Broken(ImageScorer):\n"
        "    name, axis, scale, reference, weights_hash = 'broken', 'texture', '-', '-', ''\n"
        "    def load(self, device='cpu'): pass\n"
        "    def values(self, shown): raise RuntimeError('no')\n"
    )
    result = evaluate(settings(scorers=f"oracle,{source}:Broken", primary=()))
    assert (result.n_missing, result.n_rows) == (8, 16)
    assert read_manifest(result.folder).status == "success"
    with pytest.raises(MissingRowsError, match="8 of 16 rows"):
        result.raise_if_missing()
    rows = read_score_table(result.folder).rows
    assert set(rows[rows["scorer"] == "broken"]["note"]) == {"RuntimeError: no"}
    # A failure is not kept: the same command tries again.
    assert [name.partition("-")[0] for name in written(result)] == ["oracle"]


def test_a_figure_that_cannot_be_written_is_told(world: Path, settings: Callable[..., EvalConfig]) -> None:
    config = settings(scorers="oracle", primary=())
    place = config.out / "figures" / "sheet.png"
    (place / "in-the-way").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot write .*sheet.*: Is a directory"):
        evaluate(config)
    assert read_manifest(config.out).status == "error"


def test_shards_make_the_images_that_the_whole_scores(
    world: Path, settings: Callable[..., EvalConfig]
) -> None:
    parts = [evaluate(settings(shard=f"{i}/2", scorers="oracle", primary=())) for i in (1, 2)]
    assert [part.leaderboard for part in parts] == [None, None]
    assert [len(part.image_sets[0]) for part in parts] == [4, 4]
    made = {r.path: r.path.stat().st_mtime_ns for part in parts for r in part.image_sets[0]}
    whole = evaluate(settings(scorers="oracle", primary=()))
    assert {r.path: r.path.stat().st_mtime_ns for r in whole.image_sets[0]} == made


def test_the_plan_says_what_would_be_done_and_writes_nothing(
    world: Path, settings: Callable[..., EvalConfig]
) -> None:
    agenda = plan(settings())
    assert agenda.n_images == 8
    text = "\n".join(agenda.lines())
    assert "4 prompts x 2 images" in text
    assert agenda.scorers[2].scorer_version in text
    assert not agenda.config.out.exists()


def test_everything_wrong_is_told_before_anything_is_written(
    world: Path, settings: Callable[..., EvalConfig], tmp_path: Path
) -> None:
    wrong: list[tuple[dict[str, object], type[UserError], str]] = [
        ({"base": "shape"}, UnknownNameError, "did you mean shapes"),
        ({"prompts": "shapes-cor"}, UnknownNameError, "shapes-core"),
        ({"scorers": "orcale"}, UnknownNameError, "did you mean oracle"),
        ({"scorers": "oracle", "primary": "clip"}, UnknownNameError, "primary scorer 'clip'"),
        ({"checkpoint": (str(tmp_path / "nothing"),)}, MissingFileError, "no checkpoint at"),
        ({"checkpoint": ("base", "base")}, UserError, "named twice"),
        ({"sampler": "euler"}, UnknownNameError, "unknown sampler"),
        ({"shard": "3/2"}, UserError, "--shard"),
        ({"reference": "nobody"}, UserError, "--reference"),
    ]
    for changes, kind, message in wrong:
        with pytest.raises(kind, match=message):
            evaluate(settings(**changes))
    assert not (tmp_path / "eval").exists()
    with pytest.raises(UserError, match="unknown key 'image_per_prompt'.*did you mean images_per_prompt"):
        settings(image_per_prompt=3)
    with pytest.raises(UserError, match="images_per_prompt is -3"):
        settings(images_per_prompt=-3)


def test_json_names_both_checkpoints(world: Path, other: str, settings: Callable[..., EvalConfig]) -> None:
    result = evaluate(settings(checkpoint=("base", other), scorers="oracle", primary=()))
    text = json.dumps(json.loads((result.folder / "leaderboard.json").read_text()))
    assert all(images.checkpoint.id in text for images in result.image_sets)


def test_whoever_leaves_a_table_is_told(
    world: Path, other: str, settings: Callable[..., EvalConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    both = evaluate(settings(checkpoint=("base", other)))
    assert both.leaderboard is not None
    assert "had " not in capsys.readouterr().err
    evaluate(settings(checkpoint=("base",)))
    assert f"had {both.leaderboard.rows[1].checkpoint.id} as well" in capsys.readouterr().err
