"""What FLUX.1 alone has: a scale of guidance that is told, and its shift by the size of images."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline as Plain
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from torch import Tensor

from benchmark.core.records import Sampler
from benchmark.generate import sample
from benchmark.models import load_pipeline, model_facts
from benchmark.models.families.flux.pipeline import GUIDANCE, FluxPipeline
from benchmark.models.flow.schedules import Schedule
from tools.random_flow.flux import TOKENS, diffusers_images, write_random_folder

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

PROMPTS = ["a red star", "two hearts", ""]
SEEDS = [7, 8, 9]
SAMPLER = Sampler(name="euler", steps=4, guidance=3.5, batch_size=3)


@pytest.fixture(scope="module")
def dev_folder(published_folder: Callable[..., Path]) -> Path:
    return published_folder("flux")


@pytest.fixture(scope="module")
def schnell_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_folder(tmp_path_factory.mktemp("flux") / "tiny-schnell", schnell=True)


def opened(folder: Path) -> FluxPipeline:
    return cast("FluxPipeline", load_pipeline(str(folder), precision="fp32"))


@pytest.fixture(scope="module")
def dev(published_pipeline: Callable[..., FluxPipeline]) -> FluxPipeline:
    return published_pipeline("flux")


@pytest.fixture(scope="module")
def schnell(schnell_folder: Path) -> FluxPipeline:
    return opened(schnell_folder)


def largest_difference(a: "RGB", b: "RGB") -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_any_other_scale_is_told_as_plain_diffusers_does(dev: FluxPipeline, dev_folder: Path) -> None:
    sampler = replace(SAMPLER, guidance=7.0)
    ours = sample(dev, PROMPTS, SEEDS, sampler)
    assert largest_difference(ours, diffusers_images(dev_folder, PROMPTS, SEEDS, sampler)) <= 1


def test_the_scale_of_guidance_counts(dev: FluxPipeline) -> None:
    images = [sample(dev, PROMPTS, SEEDS, replace(SAMPLER, guidance=g)) for g in (1.0, 3.5, 0.5)]
    assert largest_difference(images[0], images[1]) > 0
    # Below 1 is none, as for every model.
    assert np.array_equal(images[0], images[2])


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_without_guidance_embeddings_it_is_classifier_free(
    schnell: FluxPipeline, schnell_folder: Path, scale: float
) -> None:
    sampler = replace(SAMPLER, guidance=scale)
    ours, theirs = (
        sample(schnell, PROMPTS, SEEDS, sampler),
        diffusers_images(schnell_folder, PROMPTS, SEEDS, sampler),
    )
    assert largest_difference(ours, theirs) <= 1


def packed_by_hand(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens of 2 x 2 neighbours, row by row, and where they lie."""
    _, _, height, width = latents.shape
    corners = [(y, x) for y in range(0, height, 2) for x in range(0, width, 2)]
    tokens = [latents[:, :, y : y + 2, x : x + 2].flatten(1) for y, x in corners]
    ids = [[0.0, y / 2, x / 2] for y, x in corners]
    return torch.stack(tokens, 1), torch.tensor(ids)


def test_the_transformer_is_asked_as_published(dev: FluxPipeline, schnell: FluxPipeline) -> None:
    noisy = torch.randn((3, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.5, 0.9])
    tokens, ids = packed_by_hand(noisy)
    for pipeline, guidance in ((dev, torch.full((3,), 3.5)), (schnell, None)):
        told = pipeline.encode_prompts(PROMPTS)
        network: Any = pipeline.network
        with torch.no_grad():
            found = pipeline.predict(network, noisy, sigma, told)
            wanted = network(
                hidden_states=tokens, encoder_hidden_states=told.parts["t5"], timestep=sigma,
                pooled_projections=told.parts["pooled"], guidance=guidance, img_ids=ids,
                txt_ids=torch.zeros(TOKENS, 3), return_dict=False,
            )[0]  # fmt: skip
        torch.testing.assert_close(packed_by_hand(found)[0], wanted)


def test_training_tells_one_guidance_whatever_the_caption(dev: FluxPipeline, schnell: FluxPipeline) -> None:
    noisy, sigma = torch.randn(2, 4, 16, 16), torch.tensor([0.3, 0.6])
    told = dev.encode_prompts(PROMPTS[:2])
    asked = dev.tell_guidance(told, GUIDANCE)
    assert asked is not None
    assert asked.parts["guidance"].tolist() == [GUIDANCE, GUIDANCE]
    with torch.no_grad():
        plainly = dev.predict(dev.network, noisy, sigma, told)
        assert torch.equal(plainly, dev.predict(dev.network, noisy, sigma, asked))
        other = dev.tell_guidance(told, 1.0)
        assert other is not None
        assert not torch.equal(plainly, dev.predict(dev.network, noisy, sigma, other))
    # What is kept of prompts says nothing of guidance, so a dropped caption's is the same.
    assert dev.encode_empty().shapes == told.shapes
    assert schnell.tell_guidance(told, GUIDANCE) is None


@pytest.mark.parametrize("side", [16, 64, 128])
def test_the_dynamic_shift_is_the_pipelines(dev: FluxPipeline, side: int) -> None:
    tokens = (side // 2) ** 2
    schedule = Schedule(dev.schedule.config, tokens, even=True)
    assert schedule.mu == pytest.approx(calculate_shift(tokens), rel=1e-12)
    assert schedule.shift == pytest.approx(math.exp(calculate_shift(tokens)), rel=1e-12)


def test_the_shift_at_published_sizes(dev: FluxPipeline, schnell: FluxPipeline) -> None:
    shifts = [Schedule(dev.schedule.config, (side // 2) ** 2).shift for side in (128, 64)]
    assert shifts == pytest.approx([3.158, 1.878], abs=1e-3)
    assert (schnell.schedule.mu, schnell.schedule.shift) == (None, 1.0)
    assert schnell.schedule.sigmas(4).tolist() == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_the_facts_are_the_pipelines_own_defaults(
    dev_folder: Path, schnell_folder: Path, dev: FluxPipeline, schnell: FluxPipeline
) -> None:
    for folder, name, pipeline, defaults in (
        (dev_folder, "flux1_dev", dev, (28, 3.5)),
        (schnell_folder, "flux1_schnell", schnell, (4, 1.0)),
    ):
        facts, published = model_facts(str(folder)), model_facts(name)
        assert (facts.sampler.steps, facts.sampler.guidance) == defaults
        assert (published.sampler.steps, published.sampler.guidance) == defaults
        assert (facts.latent_shape, facts.image_size) == (pipeline.latent_shape, pipeline.image_size)
        assert (published.latent_shape, published.image_size) == ((16, 128, 128), 1024)
        assert facts.sampler.name == published.sampler.name == "euler"


def test_a_folder_that_does_not_say_its_size_is_of_the_pipelines(dev_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dev_folder, tmp_path / "plain")
    index = json.loads((folder / "model_index.json").read_text())
    for key in [key for key in index if key.startswith("_") and key != "_class_name"]:
        del index[key]
    (folder / "model_index.json").write_text(json.dumps(index))
    facts, pipeline = model_facts(str(folder)), opened(folder)
    assert facts.latent_shape == pipeline.latent_shape == (4, 128, 128)
    assert pipeline.encode_prompts(["a star"]).parts["t5"].shape[1] == 512
    pipe: Any = Plain.from_pretrained(folder)
    assert pipe.default_sample_size * pipe.vae_scale_factor == pipeline.image_size == facts.image_size
