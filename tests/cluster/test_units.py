"""How an evaluation's images are cut into units, and what a worker says of one."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from benchmark.cluster.units import IMAGES, Evaluator, Making, Opening, shards_of
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.plan import plan
from benchmark.generate import Shard


@pytest.mark.parametrize("batch", [1, 4, 16, 50])
@pytest.mark.parametrize("k", [1, 3, 4, 8, 40])
@pytest.mark.parametrize("prompts", [1, 2, 47, 100])
def test_every_prompt_is_in_one_unit_and_none_is_small_but_the_last(prompts: int, k: int, batch: int) -> None:
    shards = shards_of(prompts, k, batch)
    parts = [[n for n in range(prompts) if n in shard] for shard in shards]
    assert sorted(n for part in parts for n in part) == list(range(prompts))
    assert len({shard.suffix for shard in shards}) == len(shards)
    least = max(IMAGES, batch)
    assert all(least <= len(part) * k < 2 * (least + k) for part in parts[:-1])
    assert parts[-1]


def test_units_fill_their_batches() -> None:
    # 400 images in batches of 16: as many batches in all as one process needs.
    shards = shards_of(100, 4, 16)
    sizes = [4 * sum(n in shard for n in range(100)) for shard in shards]
    assert sum(-(-size // 16) for size in sizes) == 25


def test_an_image_whose_distance_is_measured_counts_once(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    """A worker's images and speed stand in the report."""
    unet = shutil.copytree(tiny_pipeline_folder / "unet", tmp_path / "other" / "unet")
    (file,) = unet.glob("*.safetensors")
    save_file({k: v * 1.1 for k, v in load_file(file).items()}, file, {"format": "pt"})
    (tmp_path / "prompts.txt").write_text("a red star\ntwo hearts")
    config = EvalConfig.parse({
        "base": str(tiny_pipeline_folder), "checkpoint": str(unet.parent), "distance": True, "steps": 2,
        "prompts": str(tmp_path / "prompts.txt"), "images_per_prompt": 2, "batch_size": 4,
        "scorers": "path_kl", "out": tmp_path / "out", "precision": "fp32",
    })  # fmt: skip
    worker = Evaluator(config, {one.name: one.scorer_version for one in plan(config).scorers})
    checkpoint, facts = Opening(str(unet.parent)).do(worker)
    making = Making(str(unet.parent), checkpoint, Shard(), facts.sampler)
    records, fresh = making.do(worker)
    assert all(record.path_kl for record in records)
    assert (len(records), fresh) == (4, 4)
    assert making.do(worker)[1] == 0
