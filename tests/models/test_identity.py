"""A base model is its content: what is loaded decides, not the folder's name, nor what lies unread in it."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from safetensors.torch import load_file, save_file

from benchmark.core import hashing, resources
from benchmark.core.errors import NotComparableError
from benchmark.core.records import Checkpoint
from benchmark.models import base_hash, open_checkpoint
from benchmark.models import load_pipeline as load_any
from benchmark.models.families.unet import FAMILY
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from benchmark.models.files import used_files
from trainers.checkpoints import save_checkpoint
from trainers.networks import FullPolicy, base_network

load_pipeline = cast("Callable[..., Pipeline]", load_any)


FAMILIES = ["sd15", "sdxl"]
Folder = Callable[..., Path]


@pytest.fixture(params=FAMILIES)
def copied(request: pytest.FixtureRequest, published_folder: Folder, tmp_path: Path) -> Path:
    """A copy of a tiny folder of each family, that a test may change."""
    return shutil.copytree(published_folder(request.param), tmp_path / "model")


def everything(folder: Path) -> str:
    """The hash over every config, vocabulary and safetensors file, read or not, as it once was."""
    files = (p for p in sorted(folder.rglob("*")) if p.suffix in (".json", ".safetensors", ".txt"))
    return hashing.sha256_json({p.relative_to(folder).as_posix(): hashing.sha256_file(p) for p in files})


def edit_index(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "model_index.json"
    index = json.loads(file.read_text())
    change(index)
    file.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def _with(part: str, value: Sequence[str | None], index: dict[str, Any]) -> None:
    index[part] = value


def _without(part: str, index: dict[str, Any]) -> None:
    del index[part]


def add_unread(folder: Path) -> None:
    """Everything that published folders also hold and nothing of which is loaded."""
    for part in ("safety_checker", "feature_extractor", "image_encoder"):
        (folder / part).mkdir()
        (folder / part / "config.json").write_text("{}")
        (folder / part / "model.safetensors").write_bytes(b"never read")
    (folder / "README.md").write_text("# A model")
    (folder / "images.json").write_text("[]")
    (folder / "whole-model.safetensors").write_bytes(b"the same again in one file")
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        (folder / part / f"{stem}.fp16.safetensors").write_bytes(b"another precision")
        (folder / part / f"{stem}.bin").write_bytes(b"another format")
        (folder / part / "flax_model.msgpack").write_bytes(b"another framework")


def test_the_embedded_world_keeps_the_hash_that_committed_results_state() -> None:
    folder = resources.shapes_weights("shapes-sd")
    assert base_hash("shapes") == everything(folder)


def test_a_plain_folder_as_diffusers_writes_it_keeps_its_hash(tiny_pipeline_folder: Path) -> None:
    assert base_hash(str(tiny_pipeline_folder)) == everything(tiny_pipeline_folder)


def test_neither_name_nor_place_nor_unread_files_count(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = base_hash(str(copied))
    moved = copied.rename(tmp_path / "elsewhere-1.5")
    add_unread(moved)
    monkeypatch.chdir(tmp_path)
    for spelled in (
        str(moved),
        f"{moved}/",
        "elsewhere-1.5",
        "./elsewhere-1.5",
        "../" + tmp_path.name + "/elsewhere-1.5",
    ):
        assert base_hash(spelled) == before
    assert load_pipeline(str(moved), precision="fp32").content_hash == before


def test_what_the_index_says_of_unloaded_parts_does_not_count(copied: Path) -> None:
    kind = json.loads((copied / "model_index.json").read_text())["_class_name"]
    said = {base_hash(str(copied))}
    for part in FAMILY.folders.unloaded[kind]:
        for value in (["transformers", "Something"], [None, None]):
            edit_index(copied, partial(_with, part, value))
            said.add(base_hash(str(copied)))
        edit_index(copied, partial(_without, part))
        said.add(base_hash(str(copied)))
    assert len(said) == 1


def test_what_the_index_decides_counts(copied: Path) -> None:
    edit_index(copied, lambda index: index.update(force_zeros_for_empty_prompt=True))
    before = base_hash(str(copied))
    edit_index(copied, lambda index: index.update(force_zeros_for_empty_prompt=False))
    assert base_hash(str(copied)) != before


def test_a_byte_in_any_used_file_is_another_model(copied: Path) -> None:
    used = used_files(copied, FAMILY.folders)
    parts = {file.relative_to(copied).parts[0] for file in used}
    assert {"model_index.json", "unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= parts
    seen = {base_hash(str(copied))}
    for file in used:
        content = file.read_bytes()
        if file.suffix == ".safetensors":
            changed = content[:-1] + bytes([content[-1] ^ 1])
        elif file.name == "model_index.json":
            changed = content.replace(b'"CLIPTextModel"', b'"CLIPTextModeI"')
        else:
            changed = content.replace(b"\n", b" \n", 1) if b"\n" in content else content + b" "
        file.write_bytes(changed)
        seen.add(base_hash(str(copied)))
        file.write_bytes(content)
    assert len(seen) == len(used) + 1


@pytest.fixture
def run(copied: Path, tmp_path: Path) -> Path:
    """A run trained from the copied folder."""
    base = load_pipeline(str(copied), precision="fp32")
    draft = Checkpoint("run", base.name, "sft", step=5)
    policy = FullPolicy(base_network(base))
    save_checkpoint(tmp_path / "run", policy, draft, base.revision, base.content_hash)
    return tmp_path / "run"


def change_record(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = run / "checkpoints" / "step-000005" / "checkpoint.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))


def test_a_checkpoint_finds_its_base_again_under_any_name(copied: Path, run: Path, tmp_path: Path) -> None:
    before, _ = open_checkpoint(str(run), load_pipeline(str(copied), precision="fp32"))
    moved = copied.rename(tmp_path / "another-name")
    add_unread(moved)
    after, _ = open_checkpoint(str(run), load_pipeline(str(moved), precision="fp32"))
    # Its images are found again, too: their keys are made of these.
    assert (after.id, after.base_model, after.revision) == (before.id, before.base_model, before.revision)


def test_other_weights_under_the_same_name_are_another_base(copied: Path, run: Path) -> None:
    before = base_hash(str(copied))
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({k: v + 1 for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
    base = load_pipeline(str(copied), precision="fp32")
    with pytest.raises(NotComparableError) as refused:
        open_checkpoint(str(run), replace(base, name=f"model@{before[:8]}"))
    assert before[:16] in str(refused.value)
    assert base.content_hash[:16] in str(refused.value)


def test_records_without_the_bases_hash_still_open(copied: Path, run: Path) -> None:
    """Older records: `name@` and the start of a hash, which then was over all files, read or not."""
    base = load_pipeline(str(copied), precision="fp32")
    change_record(run, lambda record: record.pop("base_sha256"))
    open_checkpoint(str(run), base)
    add_unread(copied)
    change_record(run, lambda record: record.update(base_model=f"model@{everything(copied)[:8]}"))
    open_checkpoint(str(run), base)
    change_record(run, lambda record: record.update(base_model="model@00000000"))
    with pytest.raises(
        NotComparableError, match=r"model@00000000, not from model@.*give its folder with --base"
    ):
        open_checkpoint(str(run), base)
