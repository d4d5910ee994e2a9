"""The guide's scorers that run the originals' packages: pinned as they were tried, and one of them run."""

import json
from pathlib import Path

import pytest
import torch

from benchmark.cluster.environments import make_environment
from benchmark.cluster.evaluation import on_cluster
from benchmark.cluster.settings import Cluster
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.run import evaluate
from benchmark.leaderboard import read_score_table
from benchmark.scorers import make_scorers
from tools.parity import environments, weights

FILE = Path(__file__).resolve().parents[2] / "docs" / "originals" / "original_scorers.py"

TINY = '''

class TinyHps(OriginalHps):
    """The package on a network of its own class that is small."""

    name = "tiny_hps"

    def load(self, device="cpu"):
        import json

        super().load(device)
        from hpsv2 import img_score
        from hpsv2.src.open_clip import model, transform

        config = json.loads(Path({config!r}).read_text())
        side = config["vision_cfg"]["image_size"]
        network = model.CLIP(**config, output_dict=True)
        seen = transform.image_transform(side, is_train=False, resize_longest_max=True)
        img_score.model_dict.update(model=network, preprocess_val=seen)
'''


@pytest.mark.parametrize(
    ("name", "own", "package", "tried"),
    [
        ("OriginalHps", "hps", "hpsv2", environments.CURRENT),
        ("OriginalImageReward", "imagereward", "image-reward", environments.IMAGE_REWARD),
    ],
)
def test_their_packages_are_those_of_the_comparisons_and_their_weights_those_of_ours(
    name: str, own: str, package: str, tried: environments.Environment
) -> None:
    original, ours = make_scorers([f"{FILE}:{name}", own])
    assert original.packages[0].startswith(f"{package}==")
    assert set(original.packages) <= set(tried.packages)
    assert original.published[""] == ours.published[""]
    assert (original.unit, original.axis, original.scale) == (ours.unit, ours.axis, ours.scale)


@pytest.mark.optional
def test_the_original_hps_stands_beside_ours(
    tmp_path: Path, tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HPS_ROOT", str(tmp_path / "hpsv2"))
    (original,) = make_scorers([f"{FILE}:OriginalHps"])
    try:
        make_environment(original.packages)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"pip cannot fetch hpsv2 here: {error}")
    weights.write_small_open_clip(tmp_path / "folder")
    torch.save({"state_dict": weights.open_clip_weights(small=True)}, tmp_path / "hps.pt")
    (tmp_path / "config.json").write_text(json.dumps(weights.open_clip_config(small=True)))
    (tmp_path / "mine.py").write_text(
        FILE.read_text() + TINY.format(config=str(tmp_path / "config.json")), "utf-8"
    )
    (tmp_path / "prompts.txt").write_text("a red star\ntwo hearts\n")
    config = EvalConfig.parse(
        {
            "base": str(tiny_pipeline_folder), "prompts": str(tmp_path / "prompts.txt"), "steps": 1,
            "scorers": [f"hps(weights={str(tmp_path / 'folder')!r})",
                        f"{tmp_path / 'mine.py'}:TinyHps(weights={str(tmp_path / 'hps.pt')!r})"],
            "images_per_prompt": 2, "precision": "fp32", "out": tmp_path / "out",
        }
    )  # fmt: skip
    evaluate(config, workplace=on_cluster(Cluster("local", workers=1, retries=0)))
    rows = read_score_table(config.out).rows
    ours, theirs = (rows[rows["scorer"] == name]["value"].to_numpy() for name in ("hps", "tiny_hps"))
    assert len(ours) == len(theirs) == 4
    assert ours.std() > 0
    assert theirs == pytest.approx(ours, abs=1e-4)
