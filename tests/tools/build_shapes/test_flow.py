"""The stage `flow` in miniature, on the committed autoencoder and text encoder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusion3Pipeline
from transformers import CLIPTextModel

from benchmark.core import resources
from benchmark.core.records import Sampler
from benchmark.generate import sample
from benchmark.models import load_pipeline
from tools.build_shapes import fitting, flow, flow_quality, text, unet
from tools.build_shapes.fitting import Build

PROMPTS, SEEDS = ["a red star", "two hearts"], [1, 2]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Ten steps in all; what the stage reads is the committed, what it writes is beside it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("flow")
    (folder / "weights").mkdir()
    for part in resources.shapes_weights().iterdir():
        if part.name not in ("cards", flow.NAME):
            (folder / "weights" / part.name).symlink_to(part)
    return Build(folder / "weights", folder / "data", folder / "state", scale=1 / 1000)


@pytest.fixture(scope="module")
def built(build: Build) -> Build:
    flow.run(build)
    return build


def load_vae(build: Build) -> AutoencoderKL:
    vae: AutoencoderKL = AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae")
    return vae


def card(build: Build, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((build.weights / "cards" / f"{stage}.json").read_text())
    return found


def test_the_folder_is_a_plain_pipeline_without_t5(built: Build) -> None:
    folder = built.weights / flow.NAME
    pipe = StableDiffusion3Pipeline.from_pretrained(folder, text_encoder_3=None, tokenizer_3=None)
    pipe.set_progress_bar_config(disable=True)
    for part in (pipe.transformer, pipe.vae, pipe.text_encoder, pipe.text_encoder_2):
        assert {p.dtype for p in part.parameters()} == {torch.float32}
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    made = pipe(
        PROMPTS, num_inference_steps=3, guidance_scale=2.0, generator=generators, max_sequence_length=0
    ).images
    sampler = Sampler(name="euler", steps=3, guidance=2.0, batch_size=2)
    ours = sample(load_pipeline(str(folder), precision="fp32"), PROMPTS, SEEDS, sampler).astype(int)
    assert np.abs(np.stack([np.asarray(image) for image in made]) - ours).max() <= 1
    found = card(built, "flow")
    assert found["steps"] == sum(built.amount(phase.steps) for phase in flow.PHASES) <= 12
    assert 11e6 < found["held_out"]["bytes"] <= 12e6


def test_its_quality_is_measured_as_the_unets(built: Build) -> None:
    flow_quality.run(built)
    figures = card(built, "flow_quality")["held_out"]
    assert figures["sampler"].startswith("sampler:euler-16|")
    assert 0 <= figures["alignment_macro"] <= 1


def test_it_begins_as_nothing_and_reads_as_the_committed_encoder(build: Build) -> None:
    transformer = flow.new_transformer()
    x, states, pooled = (torch.randn(2, *shape) for shape in ((4, 16, 16), (32, flow.STATES), (flow.STATES,)))
    assert not transformer(x, states, pooled, torch.tensor([5.0, 900.0])).sample.any()
    committed = CLIPTextModel.from_pretrained(build.weights / "shapes-sd" / "text_encoder")
    ids = text.token_ids(text.load_tokenizer(build), [*PROMPTS, ""])
    torch.testing.assert_close(flow.first_encoder(build)(ids).text_embeds, committed(ids).pooler_output)


def test_broken_off_it_goes_on_to_the_same_bits(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten steps, and ten that are broken off after five."""
    monkeypatch.setattr(flow, "PHASES", (unet.Phase("ten", 10_000, 1e-3, 3.0),))
    monkeypatch.setattr(flow, "BATCH", 4)
    encoded = {
        name: unet.encode_renders(build, load_vae(build), 4, name) for name in ("pretrain", "validation")
    }
    monkeypatch.setattr(flow, "encode_renders", lambda *given: encoded[given[3]])

    def trained(name: str) -> dict[str, torch.Tensor]:
        models, (done,) = flow.train(replace(build, state=tmp_path / name))
        assert done.steps == 10
        found: dict[str, torch.Tensor] = models.state_dict()
        return found

    whole, steps, fit = trained("whole"), list[int](), fitting.fit

    def broken(to: Build, name: str, models: torch.nn.ModuleDict, loss: Any, **more: Any) -> Any:
        def counted(step: int, g: torch.Generator) -> Any:
            steps.append(step)
            if len(steps) == 6:
                raise KeyboardInterrupt
            return loss(step, g)

        return fit(to, name, models, counted, **more)

    monkeypatch.setattr(fitting, "SAVE_EVERY_SECONDS", 0)
    monkeypatch.setattr(flow, "fit", broken)
    with pytest.raises(KeyboardInterrupt):
        trained("broken")
    shutil.copytree(tmp_path / "broken", tmp_path / "on")
    found = trained("on")
    assert steps == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    assert all(torch.equal(value, whole[name]) for name, value in found.items())


def test_its_state_is_kept_every_five_minutes() -> None:
    assert fitting.SAVE_EVERY_SECONDS <= 300
