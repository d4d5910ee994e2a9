"""docs/adding-a-family.md, followed: its file, on a tiny folder of a family that fbench has not."""

import contextlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel
from transformers import UMT5Config, UMT5EncoderModel
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.core import resources
from benchmark.generate import sample
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.models.flow.pipeline import FlowPipeline
from tools.random_flow.parts import by_diffusers, write_index, write_network, write_t5_tokenizer, write_vae

PROMPTS, SEEDS = ["a star", "two hearts", ""], [7, 8, 9]
SMALL = {
    "train": "--steps 2 --batch-size 2 --save-every 2 --lora-rank 2 --lr 0.03 --device cpu --precision fp32 "
    "--set cache=cache --set held_out_pairs=2 --set held_out_draws=1 --set warmup=0",
    "eval": "--primary entropy --steps 2 --images-per-prompt 2 --precision fp32",
}


def write_folder(folder: Path) -> None:
    """AuraFlow as published, tiny and with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = UMT5Config(
            vocab_size=write_t5_tokenizer(folder), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2
        )
        UMT5EncoderModel(config).save_pretrained(folder / "text_encoder")
        write_vae(folder, scaling_factor=0.13025)
        network = AuraFlowTransformer2DModel(
            sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_mmdit_layers=1,
            num_single_dit_layers=1, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=16,
            caption_projection_dim=16, pos_embed_max_size=64,
        )  # fmt: skip
        write_network(folder, network)
    scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.73}
    parts = {
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "AuraFlowTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    write_index(folder, "AuraFlowPipeline", scheduler, parts)


@pytest.fixture(scope="module")
def followed(family_page: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page was followed: its file is written, its commands have run."""
    folder: Path = tmp_path_factory.mktemp("fresh")
    write_folder(folder / "auraflow")
    for name, content in family_page.files.items():
        (folder / name).write_text(content, encoding="utf-8")
    rows = next(pq.ParquetFile(resources.shapes_data("shapes-prefs") / "heldout.parquet").iter_batches(8))
    pq.write_table(pa.Table.from_batches([rows]), folder / "pairs.parquet")
    (folder / "mine.txt").write_text("a red star\ntwo hearts\n")
    with contextlib.chdir(folder):
        for line in family_page.commands:
            _, command, *words = shlex.split(line)
            done = CliRunner().invoke(app, [command, *words, *SMALL[command].split()])
            assert done.exit_code == 0, f"{line}: {done.output}\n{done.exception!r}"
    return folder


def test_both_commands_of_the_page_have_run(followed: Path, family_page: Any) -> None:
    assert list(family_page.files) == ["auraflow.py"]
    assert [line.split()[1] for line in family_page.commands] == ["train", "eval"]
    assert (followed / "runs" / "auraflow" / "checkpoints" / "step-000002" / "checkpoint.json").is_file()
    boards = list(followed.rglob("leaderboard.csv"))
    assert [len(board.read_text().strip().splitlines()) for board in boards] == [3]


def test_base_and_trained_adapter_are_sampled_as_by_plain_diffusers(followed: Path) -> None:
    base = load_pipeline(f"{followed / 'auraflow.py'}:auraflow", precision="fp32")
    assert isinstance(base, FlowPipeline)
    assert (base.latent_shape, base.image_size) == ((4, 16, 16), 64)
    assert str(base.density(None)) == "logit_normal(mean=0, std=1, shift=1.73)"
    _, policy = open_checkpoint(str(followed / "runs" / "auraflow"), base)
    step = followed / "runs" / "auraflow" / "checkpoints" / "step-000002"
    sampler = replace(base.sampler, steps=4, batch_size=3)
    images = []
    for pipeline, adapter in ((base, None), (policy, step)):
        pipe = AuraFlowPipeline.from_pretrained(followed / "auraflow")
        settings = {"height": 64, "width": 64, "guidance_scale": sampler.guidance}
        theirs = by_diffusers(pipe, PROMPTS, SEEDS, sampler, adapter, **settings)
        images.append(sample(pipeline, PROMPTS, SEEDS, sampler).astype(int))
        assert np.abs(images[-1] - theirs).max() <= 1
    assert np.abs(images[0] - images[1]).max() > 1


def test_an_edited_file_is_another_base_model(followed: Path, tmp_path: Path) -> None:
    from benchmark.models import base_hash

    (tmp_path / "auraflow").symlink_to(followed / "auraflow")
    edited = tmp_path / "auraflow.py"
    edited.write_text((followed / "auraflow.py").read_text())
    assert base_hash(f"{edited}:auraflow") == base_hash(f"{followed / 'auraflow.py'}:auraflow")
    edited.write_text(edited.read_text() + "\n# another code\n")
    assert base_hash(f"{edited}:auraflow") != base_hash(f"{followed / 'auraflow.py'}:auraflow")
