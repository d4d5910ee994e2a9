"""The builder in miniature: every stage of the world and of the diffusion model, at 1/500 of the steps."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

from benchmark.core.hashing import sha256_path
from benchmark.shapes.grammar import parse
from benchmark.shapes.scenes import Wanted, sample_scenes
from benchmark.shapes.truth import load_judge
from tools.build_shapes import oracles, preferences, samples, text, tokenizer, truth, unet, vae
from tools.build_shapes.fitting import Build

SCALE = 1 / 500


def build_in(folder: Path) -> Build:
    return Build(folder / "weights", folder / "data", folder / "state", scale=SCALE)


def first_stages(build: Build) -> None:
    """Everything that needs no diffusion model."""
    build.state.mkdir(parents=True)
    tokenizer.run(build)
    text.run(build)
    vae.run(build)
    oracles.run(build, "oracle_label")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    torch.set_num_threads(1)
    build = build_in(tmp_path_factory.mktemp("built"))
    first_stages(build)
    oracles.run(build, "oracle")
    truth.run(build)
    unet.run(build)
    samples.run(build)
    preferences.run(build)
    return build


def card(build: Build, stage: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((build.weights / "cards" / f"{stage}.json").read_text())
    return found


@pytest.mark.parametrize(
    "stage", ["tokenizer", "text", "vae", "oracle_label", "oracle", "truth", "unet", "samples", "preferences"]
)
def test_every_stage_leaves_a_card(built: Build, stage: str) -> None:
    found = card(built, stage)
    assert found["stage"] == stage
    assert found["seed"] == 0
    assert str(found["command"]).endswith(stage)


@pytest.mark.parametrize("stage", ["text", "vae", "oracle_label", "oracle"])
def test_losses_fall(built: Build, stage: str) -> None:
    found = card(built, stage)
    assert float(str(found["loss_last"])) < float(str(found["loss_first"]))


def test_the_folder_is_a_plain_pipeline(built: Build) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(built.weights / "shapes-sd", safety_checker=None)
    assert {p.dtype for part in (pipe.unet, pipe.vae, pipe.text_encoder) for p in part.parameters()} == {
        torch.float32
    }
    out = pipe("a red star", num_inference_steps=2, guidance_scale=2.0, output_type="np").images
    assert out.shape == (1, 64, 64, 3)


def test_objects_weigh_more_at_first_and_nothing_does_in_the_end() -> None:
    scenes = sample_scenes(Wanted.anything(50), torch.Generator().manual_seed(8))
    objects = unet.foreground(scenes)
    weight = unet.foreground_weight(objects, unet.PHASES[0].foreground)
    assert torch.allclose(weight.mean((1, 2, 3)), torch.ones(50))
    ratio = weight.masked_fill(~objects, -torch.inf).amax((1, 2, 3)) / weight.amin((1, 2, 3))
    assert torch.allclose(ratio, torch.full((50,), 4.0))
    # Weights that depend on the clean picture move the mean that is learned.
    assert (unet.foreground_weight(objects, unet.PHASES[-1].foreground) == 1).all()


def test_latents_are_white(built: Build) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(built.weights / "shapes-sd", safety_checker=None)
    z = vae.latents(pipe.vae, 64, torch.Generator().manual_seed(5)).movedim(1, 0).flatten(1)
    assert pipe.vae.config.scaling_factor == 1
    assert z.mean(1).abs().max() < 0.5
    assert 0.5 < z.std(1).min() <= z.std(1).max() < 2


def test_whitening_changes_no_picture(built: Build) -> None:
    torch.manual_seed(0)
    model = AutoencoderKL(**vae.CONFIG).eval()
    images = vae.renders(4, torch.Generator().manual_seed(6))
    with torch.no_grad():
        before = model.decode(model.encode(images).latent_dist.mean).sample
        vae.whiten(model, vae.latents(model, 64, torch.Generator().manual_seed(7)))
        after = model.decode(model.encode(images).latent_dist.mean).sample
    assert torch.allclose(before, after, atol=1e-3)


def test_data_has_the_columns_of_pick_a_pic(built: Build) -> None:
    for name in ("shapes-prefs/train.parquet", "shapes-prefs/heldout.parquet", "shapes-style-winter.parquet"):
        table = pq.read_table(built.data / name)
        assert {"caption", "jpg_0", "jpg_1", "label_0", "label_1"} <= set(table.column_names)
        assert all(
            a + b == 1
            for a, b in zip(table["label_0"].to_pylist(), table["label_1"].to_pylist(), strict=True)
        )
        assert all(parse(text).split == "preference" for text in table["caption"].to_pylist())


def test_training_and_held_out_prompts_differ(built: Build) -> None:
    train, held_out = (
        set(pq.read_table(built.data / f"shapes-prefs/{n}.parquet")["caption"].to_pylist())
        for n in ("train", "heldout")
    )
    assert train
    assert held_out
    assert not train & held_out


def test_the_judge_judges(built: Build) -> None:
    found = samples.load_samples(built)
    judged = load_judge("oracle", built.weights)(found.images[0], [found.captions[0]] * samples.K)
    assert ((judged.alignment >= 0) & (judged.alignment <= 1)).all()
    assert (judged.reward >= 0).all()


def test_equal_seeds_build_equal_bytes(built: Build, tmp_path: Path) -> None:
    again = build_in(tmp_path)
    first_stages(again)
    # The weights: the pipeline's last stage writes the configuration beside them once more.
    weights = ("shapes-sd/vae/diffusion_pytorch_model.safetensors", "shapes-sd/tokenizer", "oracle_label")
    for part in weights:
        assert sha256_path(again.weights / part) == sha256_path(built.weights / part), part
