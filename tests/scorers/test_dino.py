"""DINO diversity: the published layout, transformers' own processor, and the definition by scipy."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.spatial.distance import pdist
from transformers import Dinov2Model
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

from benchmark.core.errors import MissingWeightsError, UnreadableFileError
from benchmark.core.records import ImageSet
from benchmark.networks.dino import MEAN, STD, dino_pixels
from benchmark.networks.pretrained import load_pretrained
from benchmark.scorers import make_scorers

MakeSet = Callable[..., ImageSet]


def processor() -> BitImageProcessorPil:
    """With the settings of facebook/dinov2-base."""
    return BitImageProcessorPil(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, resample=3,
        image_mean=list(MEAN), image_std=list(STD), do_convert_rgb=True,
    )  # fmt: skip


def published_name(key: str) -> str:
    """Under which name the published file has a weight."""
    for new, old in (
        ("q_proj", "attention.query"),
        ("k_proj", "attention.key"),
        ("v_proj", "attention.value"),
    ):
        key = key.replace(f"attention.{new}", f"attention.{old}")
    return key.replace("attention.o_proj", "attention.output.dense")


@pytest.fixture
def published(world: Path, tmp_path: Path) -> Path:
    """The random world's model in a folder of published layout."""
    folder = tmp_path / "dinov2-base"
    folder.mkdir()
    config = json.loads((world / "shapes-dino" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))
    state = load_file(world / "shapes-dino" / "model.safetensors")
    named = {published_name(key): value for key, value in state.items()}
    assert "encoder.layer.0.attention.attention.query.weight" in named
    assert "encoder.layer.0.attention.output.dense.weight" in named
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("size", [(64, 64), (300, 200), (201, 333), (256, 256), (17, 40)])
def test_pixels_are_those_of_the_librarys_processor(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    theirs = processor()(Image.fromarray(image), return_tensors="np")["pixel_values"][0]
    ours = dino_pixels(image, 224).numpy()
    ours = (ours - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    assert theirs == pytest.approx(ours, abs=1e-5)


def test_a_published_folder_is_the_same_model_and_the_mean_distance_is_scipys(
    world: Path, published: Path, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBENCH_WEIGHTS", str(published.parent))
    images = make_set(prompts=2, k=3)
    (scorer,) = make_scorers(["dino_diversity"], "published")
    scorer.load()
    found = [row.value for row in scorer.score(images)]
    pixels = processor()([Image.fromarray(images.open(r)) for r in images], return_tensors="pt")
    with torch.no_grad():
        model = Dinov2Model.from_pretrained(world / "shapes-dino").eval()
        seen = model(**pixels).last_hidden_state[:, 0].numpy()
    assert found == pytest.approx([pdist(part, "cosine").mean() for part in seen.reshape(2, 3, -1)], abs=1e-5)


def test_a_missing_weight_is_named(published: Path) -> None:
    state = load_file(published / "model.safetensors")
    del state["layernorm.bias"]
    save_file(state, published / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnreadableFileError, match=r"a Dinov2Model \(missing layernorm\.bias\)"):
        load_pretrained(Dinov2Model, published)
    with pytest.raises(MissingWeightsError, match="no Dinov2Model"):
        load_pretrained(Dinov2Model, published.parent)


def test_the_embedded_world_has_none_and_says_so() -> None:
    (scorer,) = make_scorers(["dino_diversity"], "embedded")
    with pytest.raises(MissingWeightsError, match="the embedded world has no such weights"):
        _ = scorer.weights_hash
