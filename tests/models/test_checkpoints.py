"""Everything that `--checkpoint` may mean opens, and what is another base model's is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from benchmark.core.errors import MissingFileError, NotComparableError, UserError
from benchmark.core.records import Checkpoint
from benchmark.models import open_checkpoint
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.checkpoints import save_checkpoint
from trainers.networks import FullPolicy, base_network


def write_step(run: Path, step: int, base: Pipeline, /, **changes: Any) -> Path:
    """A step's folder with a full UNet, every weight moved by the step's number."""
    folder = run / "checkpoints" / f"step-{step:06d}"
    unet = UNet2DConditionModel.from_config(base.unet.config)
    unet.load_state_dict({k: v + step for k, v in base.unet.state_dict().items()})
    unet.save_pretrained(folder / "unet")
    record = {
        "id": f"{run.name}-{step}",
        "base_model": base.name,
        "objective": "f_dpo",
        "divergence": "reverse_kl",
        "hyperparameters": {"beta": 1.0},
        "step": step,
        "data_sha256": "ab",
        "revision": None,
        "format": "full",
    }
    (folder / "checkpoint.json").write_text(json.dumps(record | changes))
    return folder


def first_weight(pipeline: Pipeline) -> float:
    return float(pipeline.unet.conv_in.weight.flatten()[0])


def test_base_is_the_base(tiny_pipeline: Pipeline) -> None:
    checkpoint, pipeline = open_checkpoint("base", tiny_pipeline)
    assert pipeline is tiny_pipeline
    assert checkpoint.is_base
    assert (checkpoint.id, checkpoint.base_model) == ("base", tiny_pipeline.name)
    assert checkpoint.revision == tiny_pipeline.revision


def test_of_a_run_the_newest_step_or_the_one_asked_for(tmp_path: Path, tiny_pipeline: Pipeline) -> None:
    run = tmp_path / "run"
    for step in (20, 100):
        write_step(run, step, tiny_pipeline)
    # What a killed run leaves has no record yet, and is no step.
    (run / "checkpoints" / "step-000200").mkdir()
    before = first_weight(tiny_pipeline)
    revisions = set()
    for spec, step in ((run, 100), (f"{run}@20", 20), (run / "checkpoints" / "step-000020", 20)):
        checkpoint, pipeline = open_checkpoint(str(spec), tiny_pipeline)
        assert (checkpoint.id, checkpoint.step, checkpoint.divergence) == (f"run-{step}", step, "reverse_kl")
        assert first_weight(pipeline) == pytest.approx(before + step)
        revisions.add(checkpoint.revision)
    assert len(revisions) == 2
    assert first_weight(tiny_pipeline) == before
    with pytest.raises(UserError, match="no step 21; allowed: 20, 100"):
        open_checkpoint(f"{run}@21", tiny_pipeline)


def test_the_revision_is_the_trainers_until_the_weights_change(
    tmp_path: Path, tiny_pipeline: Pipeline
) -> None:
    policy = FullPolicy(base_network(tiny_pipeline))
    draft = Checkpoint("run", tiny_pipeline.name, "sft", step=5)
    saved = save_checkpoint(tmp_path, policy, draft, tiny_pipeline.revision, tiny_pipeline.content_hash)
    opened, _ = open_checkpoint(str(tmp_path), tiny_pipeline)
    assert opened == saved
    assert saved.path is not None
    file = saved.path / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({k: v + 1 for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
    assert open_checkpoint(str(tmp_path), tiny_pipeline)[0].revision != saved.revision


def test_a_run_of_another_base_model_is_refused(tmp_path: Path, tiny_pipeline: Pipeline) -> None:
    write_step(tmp_path, 1, tiny_pipeline, base_model="sd15")
    with pytest.raises(NotComparableError, match="trained from the base model sd15, not from tiny-sd"):
        open_checkpoint(str(tmp_path), tiny_pipeline)


def test_a_broken_record_gives_one_line(tmp_path: Path, tiny_pipeline: Pipeline) -> None:
    folder = write_step(tmp_path, 1, tiny_pipeline, step=-1)
    with pytest.raises(UserError, match="cannot read .* as a checkpoint's record"):
        open_checkpoint(str(folder), tiny_pipeline)


def test_folders_of_diffusers_open(
    tmp_path: Path, tiny_pipeline: Pipeline, tiny_pipeline_folder: Path
) -> None:
    bare = write_step(tmp_path, 3, tiny_pipeline) / "unet"
    checkpoint, pipeline = open_checkpoint(str(bare), tiny_pipeline)
    assert checkpoint.objective == "external"
    assert first_weight(pipeline) == pytest.approx(first_weight(tiny_pipeline) + 3)
    checkpoint, pipeline = open_checkpoint(str(tiny_pipeline_folder), tiny_pipeline)
    assert checkpoint.id.startswith("tiny-sd-")
    assert pipeline.name == tiny_pipeline.name
    assert torch.equal(pipeline.unet.conv_in.weight, tiny_pipeline.unet.conv_in.weight)


def test_a_unet_of_another_shape_is_refused(tmp_path: Path, tiny_pipeline: Pipeline) -> None:
    config = {**tiny_pipeline.unet.config, "cross_attention_dim": 24}
    UNet2DConditionModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(NotComparableError, match="cross_attention_dim 24, not 16"):
        open_checkpoint(str(tmp_path), tiny_pipeline)


def test_what_is_not_there_names_what_is_close(tmp_path: Path, tiny_pipeline: Pipeline) -> None:
    (tmp_path / "my-run").mkdir()
    with pytest.raises(MissingFileError, match="did you mean my-run"):
        open_checkpoint(str(tmp_path / "my-rum"), tiny_pipeline)
    with pytest.raises(UserError, match="no unet/"):
        open_checkpoint(str(tmp_path / "my-run"), tiny_pipeline)


def test_a_file_that_is_no_lora_is_refused(tmp_path: Path, tiny_pipeline: Pipeline) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"conv_in.weight": torch.zeros(1)}, file)
    with pytest.raises(UserError, match=r"cannot read .*weights\.safetensors as a LoRA of tiny-sd"):
        open_checkpoint(str(file), tiny_pipeline)
    save_file({"unet.no.such.layer.lora_A.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(UserError, match="as a LoRA of tiny-sd"):
        open_checkpoint(str(file), tiny_pipeline)
